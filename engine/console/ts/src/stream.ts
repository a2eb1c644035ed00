/** The page's event stream, and what the page says about its state. */

import { t } from "./words";

type Handler = (data: unknown) => void;

/** The browser connects again by itself; the server then sends what was missed, or `reset`. */
export function listen(topics: string, cursor: string, handlers: Record<string, Handler>, number = ""): EventSource {
  const query = new URLSearchParams({ topics, after: cursor });
  if (number !== "") {
    query.set("number", number);
  }
  const source = new EventSource(`/events?${query}`);
  source.addEventListener("open", () => show("open"));
  source.addEventListener("error", () => {
    show("lost");
    if (source.readyState === EventSource.CLOSED) {
      // The server answered with something that is no stream: it may be restarting.
      window.setTimeout(() => window.location.reload(), 5000);
    }
  });
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data)));
  }
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());
  return source;
}

function show(state: "open" | "lost"): void {
  const place = document.getElementById("stream-state");
  if (place !== null && place.dataset["state"] !== state) {
    place.dataset["state"] = state;
    const text = place.querySelector("[data-slot=text]");
    if (text !== null) {
      text.textContent = t(`stream.${state}`);
    }
  }
}
