/** Keys that work on every page: / goes to the search, arrows move between the rows of a list. */

export function typing(event: KeyboardEvent): boolean {
  const target = event.target;
  return (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    (target instanceof HTMLElement && target.closest("input:not([type=range]), textarea, select, dialog") !== null)
  );
}

export function useKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (typing(event)) {
      return;
    }
    if (event.key === "/") {
      const search = document.querySelector<HTMLInputElement>("[data-search]");
      if (search !== null) {
        event.preventDefault();
        search.select();
        search.focus();
      }
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      move(event.key === "ArrowDown" ? 1 : -1, event);
    }
  });
}

function move(by: number, event: KeyboardEvent): void {
  const links = [...document.querySelectorAll<HTMLElement>("tbody .row-link")];
  const at = links.findIndex((link) => link === document.activeElement);
  const next = at < 0 ? (by > 0 ? links[0] : undefined) : links[at + by];
  if (next !== undefined && (at >= 0 || document.activeElement === document.body)) {
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}
