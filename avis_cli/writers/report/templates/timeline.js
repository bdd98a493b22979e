// Waveform, lanes and playhead. A press or a drag anywhere on the field seeks.

const SVG = "http://www.w3.org/2000/svg";
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const TICK_ROOM = 64; // pixels

function clockText(time, digits = 1) {
  const unit = 10 ** digits;
  const rounded = Math.round(time * unit) / unit;
  const minutes = Math.floor(rounded / 60);
  const hours = Math.floor(minutes / 60);
  const seconds = (rounded - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

class Timeline {
  constructor(data, onSeek) {
    this.span = data.span;
    this.field = document.getElementById("field");
    this.playhead = document.getElementById("playhead");
    this.axis = document.getElementById("axis");
    this.drawWave(document.getElementById("wave"), data.wave);
    for (const track of data.tracks) {
      const lane = this.field.querySelector(`.lane[data-track="${track.id}"]`);
      for (const [start, end] of track.sounding) lane.append(this.bar(start, end));
    }
    const seek = (event) => onSeek(this.timeAt(event.clientX));
    this.field.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      seek(event);
      this.field.setPointerCapture(event.pointerId);
    });
    this.field.addEventListener("pointermove", (event) => {
      if (this.field.hasPointerCapture(event.pointerId)) seek(event);
    });
    new ResizeObserver(() => this.drawAxis()).observe(this.field);
  }

  get seconds() {
    return Math.max(this.span[1] - this.span[0], 0.001);
  }

  share(time) {
    return Math.min(Math.max((time - this.span[0]) / this.seconds, 0), 1);
  }

  timeAt(clientX) {
    const box = this.field.getBoundingClientRect();
    return this.span[0] + Math.min(Math.max((clientX - box.left) / box.width, 0), 1) * this.seconds;
  }

  bar(start, end) {
    const bar = document.createElement("i");
    bar.style.left = `${100 * this.share(start)}%`;
    bar.style.width = `${100 * (this.share(end) - this.share(start))}%`;
    bar.title = `${clockText(start)} to ${clockText(end)}`;
    return bar;
  }

  drawWave(place, wave) {
    if (!wave) {
      place.classList.add("none");
      place.textContent = "no sound";
      return;
    }
    const columns = wave.high.length;
    const upper = wave.high.map((level, n) => `${n} ${-Math.max(level, 1)}`);
    const lower = wave.low.map((level, n) => `${n} ${-Math.min(level, -1)}`).reverse();
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 -100 ${columns - 1} 200`);
    svg.setAttribute("preserveAspectRatio", "none");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", `M${upper.join("L")}L${lower.join("L")}Z`);
    svg.append(path);
    place.append(svg);
  }

  drawAxis() {
    const most = Math.max(this.field.clientWidth / TICK_ROOM, 1);
    const step = TICKS.find((tick) => this.seconds / tick <= most) || this.seconds;
    this.axis.replaceChildren();
    for (let n = Math.ceil(this.span[0] / step); n * step < this.span[1]; n++) {
      const tick = document.createElement("span");
      tick.textContent = clockText(n * step, step < 1 ? 1 : 0);
      tick.style.left = `${100 * this.share(n * step)}%`;
      this.axis.append(tick);
    }
  }

  show(time) {
    this.playhead.style.left = `${100 * this.share(time)}%`;
    this.field.setAttribute("aria-valuenow", time.toFixed(2));
    this.field.setAttribute("aria-valuetext", clockText(time));
  }
}
