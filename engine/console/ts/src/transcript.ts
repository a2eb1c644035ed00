/** The transcript's lines: the one being said is marked, a click goes there. */

import { fill, find, maybe, stamp } from "./dom";
import { t } from "./words";

interface Line {
  channel: number;
  start_ms: number;
  end_ms: number;
}

interface Loaded {
  lines: Line[];
  state: string;
  state_text: string;
  error: string;
}

export class TranscriptLines {
  private readonly list = find("#lines", HTMLOListElement);
  private current: HTMLElement[] = [];

  constructor(seek: (milliseconds: number) => void) {
    this.list.addEventListener("click", (event) => {
      const line = event.target instanceof Element ? event.target.closest<HTMLElement>(".line") : null;
      if (line !== null) {
        seek(Number(line.dataset["start"]));
      }
    });
  }

  /** Mark what is being said; both sides may speak at once. */
  at(milliseconds: number): void {
    const now = [...this.list.querySelectorAll<HTMLElement>(".line")].filter(
      ({ dataset }) => Number(dataset["start"]) <= milliseconds && milliseconds < Number(dataset["end"]),
    );
    if (now.length === this.current.length && now.every((line, i) => line === this.current[i])) {
      return;
    }
    for (const line of this.current) {
      line.removeAttribute("aria-current");
    }
    for (const line of now) {
      line.setAttribute("aria-current", "true");
    }
    now[0]?.scrollIntoView({ block: "nearest", behavior: "smooth" });
    this.current = now;
  }

  /** The transcription has got further: show what there is now. */
  async reload(base: string): Promise<boolean> {
    const response = await fetch(`${base}/transcript.json`);
    if (!response.ok) {
      return false;
    }
    const loaded = (await response.json()) as Loaded;
    const job = find("#job", HTMLElement);
    job.dataset["job"] = loaded.state;
    fill(job, { state_text: loaded.state_text });
    const failure = find("#job-error", HTMLElement);
    failure.hidden = loaded.error === "";
    failure.textContent = loaded.error;
    this.list.replaceChildren(...loaded.lines.map((line) => this.item(line)));
    const none = maybe("#no-lines", HTMLElement);
    if (none !== null) {
      none.hidden = loaded.lines.length > 0;
      none.textContent = loaded.state === "done" ? t("transcript.silent") : none.textContent;
    }
    return loaded.state === "done";
  }

  private item(line: Line): HTMLElement {
    const item = stamp(find("#line", HTMLTemplateElement), HTMLLIElement);
    const button = find(".line", HTMLButtonElement, item);
    Object.assign(button.dataset, {
      channel: String(line.channel),
      start: String(line.start_ms),
      end: String(line.end_ms),
    });
    fill(button, { ...line });
    return item;
  }
}
