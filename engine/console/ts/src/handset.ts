/** Popups as they leave: the feed of all, and one subscriber's phone. */

import { fill, find, stamp } from "./dom";
import { listen } from "./stream";
import { setTime } from "./times";

interface Popup {
  id: string;
  at: number;
  tone: string;
}

interface Place {
  list: HTMLElement;
  template: HTMLTemplateElement;
  none: HTMLElement;
  max: number;
}

export function popupFeed(): void {
  const table = find("#popups", HTMLTableElement);
  follow(table, "", {
    list: find("tbody", HTMLTableSectionElement, table),
    template: find("#popup-row", HTMLTemplateElement),
    none: find("#no-popups", HTMLElement),
    max: 100,
  });
}

export function handset(): void {
  const list = find("#messages", HTMLOListElement);
  follow(list, list.dataset["number"] ?? "", {
    list,
    template: find("#message", HTMLTemplateElement),
    none: find("#no-messages", HTMLElement),
    max: 12,
  });
}

function follow(source: HTMLElement, number: string, place: Place): void {
  listen(
    "popup",
    source.dataset["cursor"] ?? "",
    {
      popup: (data) => show(data as Popup, place),
      reset: () => window.location.reload(),
    },
    number,
  );
}

function show(popup: Popup, place: Place): void {
  if (place.list.querySelector(`[data-popup="${CSS.escape(popup.id)}"]`) !== null) {
    return;
  }
  const item = stamp(place.template, HTMLElement);
  fill(item, { ...popup });
  item.dataset["popup"] = popup.id;
  item.dataset["tone"] = popup.tone;
  item.classList.add("arrived");
  for (const chip of item.querySelectorAll<HTMLElement>("[data-tone-slot]")) {
    chip.dataset["tone"] = popup.tone;
  }
  setTime(find("time", HTMLTimeElement, item), new Date(popup.at * 1000));
  place.list.prepend(item);
  place.none.hidden = true;
  while (place.list.children.length > place.max) {
    place.list.lastElementChild?.remove();
  }
}
