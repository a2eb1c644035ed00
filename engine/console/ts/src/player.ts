/** The page of a recording: play, seek by waveform, line or key, and read along. */

import { fill, find, maybe } from "./dom";
import { typing } from "./keys";
import { listen } from "./stream";
import { duration } from "./times";
import { TranscriptLines } from "./transcript";
import { type Peaks, Waveform } from "./waveform";
import { t } from "./words";

const STEP_S = 5;

export function recordingPage(): void {
  const panel = maybe("#player", HTMLElement);
  if (panel === null) {
    return;
  }
  const base = panel.dataset["base"] ?? "";
  const player = new Player(panel, base);
  void player.loadWave();
  void showProof(base);
  if (panel.dataset["transcribed"] !== "true") {
    const again = (): void => void player.transcript.reload(base);
    listen("transcript", panel.dataset["cursor"] ?? "", { transcript: again, reset: again });
  }
}

class Player {
  readonly transcript = new TranscriptLines((milliseconds) => this.seek(milliseconds / 1000, true));
  private readonly audio = find("#audio", HTMLAudioElement);
  private readonly box = find("#wave", HTMLElement);
  private readonly head = find(".wave-head", HTMLElement);
  private readonly slider = find(".wave-slider", HTMLInputElement);
  private readonly position = find("#position", HTMLElement);
  private readonly play = find("#play", HTMLButtonElement);
  private readonly speed = find("#speed", HTMLSelectElement);
  private readonly wave: Waveform;
  private frame = 0;

  constructor(
    private readonly panel: HTMLElement,
    private readonly base: string,
  ) {
    this.wave = new Waveform(find("canvas", HTMLCanvasElement, this.box), () => ({
      left: colour(".left-name"),
      right: colour(".right-name"),
      line: window.getComputedStyle(this.box).borderTopColor,
    }));
    this.play.addEventListener("click", () => this.toggle());
    find("#rewind", HTMLButtonElement).addEventListener("click", () => this.seek(this.audio.currentTime - STEP_S));
    find("#forward", HTMLButtonElement).addEventListener("click", () => this.seek(this.audio.currentTime + STEP_S));
    this.speed.addEventListener("change", () => this.useSpeed());
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value) / 1000));
    for (const event of ["play", "playing", "pause", "ended", "seeked", "timeupdate"]) {
      this.audio.addEventListener(event, () => this.follow());
    }
    this.audio.addEventListener("error", () => this.fail(t("player.failed")));
    document.addEventListener("keydown", (event) => this.key(event));
    this.show();
  }

  async loadWave(): Promise<void> {
    const response = await fetch(`${this.base}/peaks.json?buckets=2000`);
    if (response.ok) {
      this.wave.load((await response.json()) as Peaks);
    } else {
      this.fail(t("wave.failed"));
    }
  }

  private get length(): number {
    return Number(this.panel.dataset["durationMs"]) / 1000;
  }

  private seek(seconds: number, andPlay = false): void {
    this.audio.currentTime = Math.min(Math.max(seconds, 0), this.length);
    if (andPlay) {
      void this.audio.play();
    }
    this.show();
  }

  private toggle(): void {
    if (this.audio.paused) {
      void this.audio.play();
    } else {
      this.audio.pause();
    }
  }

  private useSpeed(): void {
    this.audio.playbackRate = Number(this.speed.value);
  }

  /** While it plays every frame moves the playhead; otherwise once is enough. */
  private follow(): void {
    const playing = !this.audio.paused && !this.audio.ended;
    this.panel.toggleAttribute("data-playing", playing);
    this.play.setAttribute("aria-label", t(playing ? "player.pause" : "player.play"));
    window.cancelAnimationFrame(this.frame);
    this.show();
    if (playing) {
      this.frame = window.requestAnimationFrame(() => this.follow());
    }
  }

  private show(): void {
    const milliseconds = this.audio.currentTime * 1000;
    const fraction = this.length > 0 ? Math.min(this.audio.currentTime / this.length, 1) : 0;
    this.head.style.left = `${fraction * 100}%`;
    this.slider.value = String(milliseconds);
    this.slider.setAttribute("aria-valuetext", duration(milliseconds));
    this.position.textContent = duration(milliseconds);
    this.wave.progress(fraction);
    this.transcript.at(this.audio.currentTime > 0 || !this.audio.paused ? milliseconds : -1);
  }

  private fail(text: string): void {
    const place = find("#player-error", HTMLElement);
    place.textContent = text;
    place.hidden = false;
  }

  private key(event: KeyboardEvent): void {
    if (typing(event)) {
      return;
    }
    const onButton = event.target instanceof HTMLButtonElement && event.target !== this.play;
    if (event.key === " " && !onButton) {
      this.toggle();
    } else if (event.key === "ArrowLeft") {
      this.seek(this.audio.currentTime - STEP_S);
    } else if (event.key === "ArrowRight") {
      this.seek(this.audio.currentTime + STEP_S);
    } else if (event.key === "<" || event.key === ">") {
      const next = this.speed.selectedIndex + (event.key === ">" ? 1 : -1);
      this.speed.selectedIndex = Math.min(Math.max(next, 0), this.speed.length - 1);
      this.useSpeed();
    } else {
      return;
    }
    event.preventDefault();
  }
}

function colour(selector: string): string {
  return window.getComputedStyle(find(selector, HTMLElement)).color;
}

async function showProof(base: string): Promise<void> {
  const chip = find("#proof", HTMLElement);
  const response = await fetch(`${base}/proof.json`);
  if (!response.ok) {
    chip.hidden = true;
    return;
  }
  const proof = (await response.json()) as { tone: string; text: string; detail: string };
  chip.dataset["tone"] = proof.tone;
  chip.title = proof.detail;
  fill(chip, { text: proof.text });
}
