/** Dialogs that ask before something is changed. */

export function useDialogs(): void {
  for (const button of document.querySelectorAll<HTMLElement>("[data-opens]")) {
    const dialog = document.getElementById(button.dataset["opens"] ?? "");
    if (dialog instanceof HTMLDialogElement) {
      button.addEventListener("click", () => dialog.showModal());
    }
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-closes]")) {
    button.addEventListener("click", () => button.closest("dialog")?.close());
  }
}
