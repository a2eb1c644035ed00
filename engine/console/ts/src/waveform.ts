/** Two channels on a canvas, caller above and callee below; what has been played is darker. */

export interface Peaks {
  duration_s: number;
  /** Lowest and highest sample of each bucket in turn, int16. */
  left: number[];
  right: number[];
}

const FULL_SCALE = 32768;

export class Waveform {
  private peaks: Peaks | null = null;
  private played = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly colours: () => { left: string; right: string; line: string },
  ) {
    new ResizeObserver(() => this.draw()).observe(canvas);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  load(peaks: Peaks): void {
    this.peaks = peaks;
    this.draw();
  }

  /** `fraction` of the whole has been played. */
  progress(fraction: number): void {
    this.played = fraction;
    this.draw();
  }

  private draw(): void {
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas.getBoundingClientRect();
    if (context === null || width === 0) {
      return;
    }
    const scale = window.devicePixelRatio;
    const pixels = { width: Math.round(width * scale), height: Math.round(height * scale) };
    if (this.canvas.width !== pixels.width || this.canvas.height !== pixels.height) {
      Object.assign(this.canvas, pixels);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const { left, right, line } = this.colours();
    context.fillStyle = line;
    context.fillRect(0, Math.round(height / 2), width, 1);
    if (this.peaks !== null) {
      const gain = FULL_SCALE / Math.max(FULL_SCALE / 8, loudest(this.peaks.left), loudest(this.peaks.right));
      this.channel(context, this.peaks.left, 0, width, height / 2, left, gain);
      this.channel(context, this.peaks.right, height / 2, width, height / 2, right, gain);
    }
  }

  private channel(
    context: CanvasRenderingContext2D,
    peaks: number[],
    top: number,
    width: number,
    height: number,
    colour: string,
    gain: number,
  ): void {
    const buckets = peaks.length / 2;
    const middle = top + height / 2;
    const reach = (height / 2 - 4) * gain;
    context.fillStyle = colour;
    for (let x = 0; x < width; x += 1) {
      const from = Math.floor((x * buckets) / width);
      const to = Math.max(from + 1, Math.floor(((x + 1) * buckets) / width));
      let low = 0;
      let high = 0;
      for (let bucket = from; bucket < to; bucket += 1) {
        low = Math.min(low, peaks[2 * bucket] ?? 0);
        high = Math.max(high, peaks[2 * bucket + 1] ?? 0);
      }
      context.globalAlpha = x / width < this.played ? 1 : 0.5;
      const above = (high / FULL_SCALE) * reach;
      const below = (-low / FULL_SCALE) * reach;
      context.fillRect(x, middle - above - 0.5, 1, above + below + 1);
    }
    context.globalAlpha = 1;
  }
}

function loudest(peaks: number[]): number {
  return peaks.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
}
