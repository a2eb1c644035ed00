/** The live list: rows change in place, new ones come on top, the filter works while one types. */

import { fill, find, maybe, stamp } from "./dom";
import { listen } from "./stream";
import { duration, setTime, tick } from "./times";
import { t } from "./words";

interface Call {
  id: string;
  direction: string;
  verdict: string;
  tone: string;
  level_text: string;
  level_tone: string;
  digits: string;
  step: number;
  live: boolean;
  started: number;
  ended: number | null;
  elapsed_ms: number;
  recording_href: string;
}

interface Alarm {
  at: number;
  text: string;
  detail: string;
  tone: string;
}

const ROWS_MAX = 200;

export function liveCalls(): void {
  const table = find("#calls", HTMLTableElement);
  const list = new CallList(table);
  const { cursor = "", streams } = table.dataset;
  window.setInterval(() => tick(table), 1000);
  if (streams !== "true") {
    list.frozen = true;
  }
  listen("call,alarm,switch", cursor, {
    call: (data) => list.changed(data as Call),
    today: (data) => showFigures(data as Record<string, number>),
    alarm: (data) => showAlarm(data as Alarm),
    switch: () => window.location.reload(),
    reset: () => void list.reload(),
  });
}

class CallList {
  /** A page of older calls: rows change, none are added. */
  frozen = false;
  private readonly body: HTMLTableSectionElement;
  private readonly template = find("#call-row", HTMLTemplateElement);
  private readonly form = find("#filter", HTMLFormElement);
  private readonly search = find("#filter [name=text]", HTMLInputElement);
  private readonly none = find("#no-calls", HTMLElement);
  private readonly noMatch = find("#no-match", HTMLElement);
  private readonly older = find("#older", HTMLAnchorElement);
  private readonly newRows = find("#new-rows", HTMLButtonElement);
  private readonly waiting = new Map<string, Call>();
  private verdict: string;
  private loads = 0;

  constructor(table: HTMLTableElement) {
    this.body = find("tbody", HTMLTableSectionElement, table);
    this.verdict = maybe("#filter [aria-pressed=true]", HTMLButtonElement)?.value ?? "";
    this.newRows.addEventListener("click", () => {
      window.scrollTo({ top: 0 });
      this.showWaiting();
    });
    window.addEventListener("scroll", () => window.scrollY < 8 && this.showWaiting(), { passive: true });
    this.followFilter();
  }

  changed(call: Call): void {
    const row = this.row(call.id);
    if (row !== null) {
      if (this.fits(call)) {
        this.show(row, call);
      } else {
        row.remove();
      }
    } else if (this.fits(call) && !this.frozen) {
      if (this.held()) {
        this.waiting.set(call.id, call);
        this.countWaiting();
      } else {
        this.add(call);
      }
    }
    this.showWhetherEmpty();
  }

  /** Load the list anew, with the filter as it stands. */
  async reload(): Promise<void> {
    if (this.frozen) {
      return;
    }
    const load = ++this.loads;
    const response = await fetch(`/calls.json?${this.query()}`);
    if (!response.ok || load !== this.loads) {
      return;
    }
    const { calls, more } = (await response.json()) as { calls: Call[]; more: boolean };
    this.waiting.clear();
    this.countWaiting();
    this.body.replaceChildren(...calls.map((call) => this.show(this.newRow(), call)));
    this.older.hidden = !more;
    this.pointToOlder();
    this.showWhetherEmpty();
  }

  private showWhetherEmpty(): void {
    const narrowed = this.frozen || this.verdict !== "" || this.search.value.trim() !== "";
    const empty = this.body.rows.length === 0;
    this.none.hidden = !empty || narrowed;
    this.noMatch.hidden = !empty || !narrowed;
  }

  private followFilter(): void {
    let timer = 0;
    this.search.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => this.filtered(), 150);
    });
    this.form.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (button instanceof HTMLButtonElement) {
        this.verdict = button.value;
        for (const other of this.form.querySelectorAll("button")) {
          other.setAttribute("aria-pressed", String(other === button));
        }
      }
      if (!this.frozen) {
        event.preventDefault();
        this.filtered();
      }
    });
  }

  /** The next page begins after the last row that is shown. */
  private pointToOlder(): void {
    const query = this.query();
    query.set("before", [...this.body.rows].at(-1)?.dataset["call"] ?? "");
    this.older.setAttribute("href", `/?${query}`);
  }

  private query(): URLSearchParams {
    const query = new URLSearchParams();
    if (this.verdict !== "") {
      query.set("verdict", this.verdict);
    }
    if (this.search.value.trim() !== "") {
      query.set("text", this.search.value.trim());
    }
    return query;
  }

  private filtered(): void {
    const query = this.query();
    if (!this.frozen) {
      window.history.replaceState(null, "", query.size > 0 ? `/?${query}` : "/");
      void this.reload();
    }
  }

  private fits(call: Call): boolean {
    const text = this.search.value.replaceAll(" ", "");
    return (
      (this.verdict === "" || call.verdict === this.verdict) &&
      (text === "" || call.digits.includes(text) || call.id === text)
    );
  }

  /** Someone reads further down, or has a row chosen: nothing may move under them. */
  private held(): boolean {
    return window.scrollY > 8 || (this.body.contains(document.activeElement) && document.hasFocus());
  }

  private showWaiting(): void {
    const calls = [...this.waiting.values()].sort((a, b) => a.started - b.started);
    this.waiting.clear();
    for (const call of calls) {
      this.add(call);
    }
    this.countWaiting();
  }

  private countWaiting(): void {
    const n = this.waiting.size;
    this.newRows.hidden = n === 0;
    this.newRows.textContent = n === 1 ? t("calls.new.one") : t("calls.new.many", { n });
  }

  private add(call: Call): void {
    const row = this.show(this.newRow(), call);
    row.classList.add("arrived");
    const next = [...this.body.rows].find((other) => Number(other.dataset["started"]) <= call.started);
    this.body.insertBefore(row, next ?? null);
    while (this.body.rows.length > ROWS_MAX) {
      this.body.deleteRow(-1);
      this.older.hidden = false;
    }
    this.pointToOlder();
  }

  private newRow(): HTMLTableRowElement {
    return stamp(this.template, HTMLTableRowElement);
  }

  private row(id: string): HTMLTableRowElement | null {
    return maybe(`tr[data-call="${CSS.escape(id)}"]`, HTMLTableRowElement, this.body);
  }

  private show(row: HTMLTableRowElement, call: Call): HTMLTableRowElement {
    fill(row, { ...call });
    row.dataset["call"] = call.id;
    row.dataset["tone"] = call.tone;
    row.dataset["step"] = String(call.step);
    row.dataset["started"] = String(call.started);
    row.toggleAttribute("data-live", call.live);
    const way = find(".way", HTMLElement, row);
    way.dataset["way"] = call.direction;
    for (const element of row.querySelectorAll<HTMLElement>("[data-tone-slot]")) {
      element.dataset["tone"] = element.dataset["toneSlot"] === "level" ? call.level_tone : call.tone;
    }
    setTime(find("time", HTMLTimeElement, row), new Date(call.started * 1000));
    const clock = find(".duration", HTMLElement, row);
    clock.dataset["started"] = String(call.started);
    clock.dataset["ended"] = call.ended === null ? "" : String(call.ended);
    clock.textContent = duration(call.elapsed_ms);
    find(".recording-link", HTMLAnchorElement, row).hidden = call.recording_href === "";
    return row;
  }
}

function showFigures(figures: Record<string, number>): void {
  for (const [name, value] of Object.entries(figures)) {
    const place = document.querySelector(`[data-figure="${CSS.escape(name)}"]`);
    if (place !== null) {
      place.textContent = String(value);
    }
  }
}

function showAlarm(alarm: Alarm): void {
  const banner = find("#alarm", HTMLElement);
  fill(banner, { text: alarm.text, detail: alarm.detail, at: "" });
  const at = document.createElement("time");
  at.dataset["style"] = "clock";
  setTime(at, new Date(alarm.at * 1000));
  find("[data-slot=at]", HTMLElement, banner).replaceChildren(at);
  banner.dataset["tone"] = alarm.tone;
  banner.hidden = false;
}

/** A call's own page: loaded anew when something happened to the call. */
export function oneCall(): void {
  const head = find("[data-call-page]", HTMLElement);
  const { callPage, cursor = "", live } = head.dataset;
  if (live !== "true") {
    return;
  }
  let timer = 0;
  const reload = (): void => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => window.location.reload(), 300);
  };
  listen("call", cursor, {
    call: (data) => (data as Call).id === callPage && reload(),
    reset: reload,
  });
}
