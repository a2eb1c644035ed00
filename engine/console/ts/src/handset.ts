/** Popups as they leave: the feed of all, and one subscriber's phone. */

import { fill, find, stamp } from "./dom";
import { listen } from "./stream";
import { setTime } from "./times";

interface Popup {
  id: string;
  at: number;
  tone: string;
  call_href: string;
}

interface Call {
  href: string;
  called: string;
  called_href: string;
}

interface Place {
  list: HTMLElement;
  template: HTMLTemplateElement;
  none: HTMLElement;
  max: number;
}

export function popupFeed(): void {
  const table = find("#popups", HTMLTableElement);
  const place = {
    list: find("tbody", HTMLTableSectionElement, table),
    template: find("#popup-row", HTMLTemplateElement),
    none: find("#no-popups", HTMLElement),
    max: 100,
  };
  listen("popup,call", table.dataset["cursor"] ?? "", {
    popup: (data) => show(data as Popup, place),
    call: (data) => addressed(data as Call, place),
    reset: () => window.location.reload(),
  });
}

export function handset(): void {
  const list = find("#messages", HTMLOListElement);
  const { number = "", cursor = "" } = list.dataset;
  const place = {
    list,
    template: find("#message", HTMLTemplateElement),
    none: find("#no-messages", HTMLElement),
    max: 12,
  };
  const reload = (): void => window.location.reload();
  listen("popup", cursor, { popup: (data) => show(data as Popup, place), reset: reload }, number);
}

/** A popup overtakes its call: whom it was for is known with the call's row. */
function addressed(call: Call, place: Place): void {
  for (const row of place.list.querySelectorAll<HTMLElement>("[data-call]")) {
    const called = row.querySelector("[data-slot=called]");
    if (row.dataset["call"] === call.href && called !== null && called.textContent === "") {
      called.textContent = call.called;
      find(".row-link", HTMLAnchorElement, row).setAttribute("href", call.called_href);
    }
  }
}

function show(popup: Popup, place: Place): void {
  if (place.list.querySelector(`[data-popup="${CSS.escape(popup.id)}"]`) !== null) {
    return;
  }
  const item = stamp(place.template, HTMLElement);
  fill(item, { ...popup });
  item.dataset["popup"] = popup.id;
  item.dataset["tone"] = popup.tone;
  item.dataset["call"] = popup.call_href;
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
