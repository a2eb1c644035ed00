/** Times in the viewer's zone, and durations that tick. The server does the same once it knows the zone. */

const pad = (value: number): string => String(value).padStart(2, "0");

export function format(at: Date, style: string): string {
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const date = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return style === "clock" ? clock : style === "date" ? date : `${date} ${clock}`;
}

/** `0:07`, `12:34`, `1:02:03`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600);
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
}

export function setTime(element: HTMLTimeElement, at: Date): void {
  element.dateTime = at.toISOString();
  element.textContent = format(at, element.dataset["style"] ?? "datetime");
}

/** Tell the server the zone for the next page, and write this page's times anew where it did not know. */
export function useOwnZone(): void {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === document.body.dataset["zone"]) {
    return;
  }
  document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;
  for (const element of document.querySelectorAll<HTMLTimeElement>("time[data-style]")) {
    setTime(element, new Date(element.dateTime));
  }
}

/** Let every running `[data-started]` count, once a second. */
export function tick(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLElement>("[data-started][data-ended='']")) {
    const started = Number(element.dataset["started"]);
    if (started > 0) {
      element.textContent = duration(Date.now() - started * 1000);
    }
  }
}
