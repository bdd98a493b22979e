// Waveform, lanes and playhead. A press or a drag anywhere on the field seeks; what is zoomed scrolls.

const SVG = "http://www.w3.org/2000/svg";
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const TICK_ROOM = 64; // pixels
const ZOOM_STEP = 1.6;
const SHORTEST = 0.5; // seconds that the timeline shows at least
const LARGEST_ZOOM = 64;

function clockText(time, digits = 1) {
  const unit = 10 ** digits;
  const rounded = Math.round(time * unit) / unit;
  const minutes = Math.floor(rounded / 60);
  const hours = Math.floor(minutes / 60);
  const seconds = (rounded - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

class Timeline {
  constructor(data, { onSeek, onPick }) {
    this.span = data.span;
    this.zoom = 1;
    this.at = this.span[0];
    this.rows = document.getElementById("rows");
    this.names = document.getElementById("names");
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
    this.names.addEventListener("click", (event) => {
      const name = event.target.closest(".name");
      if (name) onPick(Number(name.dataset.track));
    });
    this.rows.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoomTo(this.zoom * (event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP), this.timeAt(event.clientX));
    }, { passive: false });
    for (const [id, step] of [["zoom-in", ZOOM_STEP], ["zoom-out", 1 / ZOOM_STEP], ["zoom-all", 0]]) {
      document.getElementById(id).addEventListener("click", () => this.zoomBy(step));
    }
    this.zoomTo(1, this.at);
    new ResizeObserver(() => this.drawAxis()).observe(this.field);
  }

  // 0: as far out as it goes. The playhead stays where it is on the screen, where it is seen
  zoomBy(step) {
    const box = this.view;
    const x = this.xOf(this.at);
    this.zoomTo(this.zoom * step, x >= box.left && x <= box.right ? this.at : this.timeAt((box.left + box.right) / 2));
  }

  zoomTo(zoom, time) {
    const x = this.xOf(time);
    const most = Math.min(Math.max(this.seconds / SHORTEST, 1), LARGEST_ZOOM);
    this.zoom = Math.min(Math.max(zoom, 1), most);
    this.rows.style.setProperty("--zoom", this.zoom);
    this.rows.scrollLeft += this.xOf(time) - x;
    document.getElementById("zoom-in").disabled = this.zoom >= most;
    document.getElementById("zoom-out").disabled = document.getElementById("zoom-all").disabled = this.zoom <= 1;
  }

  // what of the field is seen: left and right on the screen
  get view() {
    const box = this.rows.getBoundingClientRect();
    return { left: box.left + this.names.offsetWidth, right: box.left + this.rows.clientWidth };
  }

  xOf(time) {
    const box = this.field.getBoundingClientRect();
    return box.left + this.share(time) * box.width;
  }

  // lanes of these tracks only, in this order
  list(tracks) {
    for (const [place, kind] of [[this.names, "name"], [this.field, "lane"]]) {
      const rows = new Map([...place.querySelectorAll(`.${kind}`)].map((row) => [Number(row.dataset.track), row]));
      const end = place.querySelector(kind === "name" ? ".axis-name" : ".axis");
      for (const row of rows.values()) row.hidden = true;
      for (const { id } of tracks) {
        rows.get(id).hidden = false;
        end.before(rows.get(id));
      }
    }
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
    if (time !== this.at) this.follow(time);
    this.at = time;
    this.playhead.style.left = `${100 * this.share(time)}%`;
    this.field.setAttribute("aria-valuenow", time.toFixed(2));
    this.field.setAttribute("aria-valuetext", clockText(time));
  }

  // scroll where the time has left what is seen
  follow(time) {
    if (this.zoom === 1) return;
    const { left, right } = this.view;
    const x = this.xOf(time);
    if (x < left || x > right) this.rows.scrollLeft += x - left - 0.1 * (right - left);
  }
}
