// Puts the page together: data, player, timeline, cards, masks, keys.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const stage = byId("stage");
const canvas = new MaskCanvas(byId("masks"), data);

const videos = [];
for (const [name, zero] of [["source", 0], ["overlay", data.span[0]]]) {
  const element = byId(name);
  if (!element) continue;
  const video = { element, zero, broken: false };
  videos.push(video);
  element.addEventListener("error", () => { byId(`${name}-missing`).hidden = false; });
  element.addEventListener("loadeddata", () => { byId(`${name}-missing`).hidden = true; });
}
const player = new Player(data.span, videos);
for (const video of videos) video.element.src = data[video.element.id];

const seek = (time) => player.seek(time);
const cards = data.tracks.map((track) => new Card(
  document.querySelector(`.card[data-track="${track.id}"]`), track,
  { onSeek: seek, onSwitch: (id, on) => canvas.shown[on ? "add" : "delete"](id) },
));
const timeline = new Timeline(data, {
  onSeek: seek,
  onPick: (id) => {
    const card = cards.find(({ track }) => track.id === id);
    card.element.scrollIntoView({ block: "center" });
    card.element.focus({ preventScroll: true });
  },
});
const list = new TrackList(data.tracks, (tracks) => {
  const listed = new Map(tracks.map((track, n) => [track.id, n]));
  for (const card of cards) card.element.hidden = !listed.has(card.track.id);
  const shown = cards.filter((card) => card.listed);
  shown.sort((a, b) => listed.get(a.track.id) - listed.get(b.track.id));
  byId("cards").append(...shown.map((card) => card.element));
  timeline.list(tracks);
});

// where the overlay shows the masks anyway, the source stays as it is until asked
if (!data.overlay) for (const card of cards) card.flip(true);

// the picture's shape: the result's, until the videos tell how wide their pixels are. The source, or without it the
// overlay, says how wide both may be; an overlay with its strip below is taller
function shape(screen, width, height, leads) {
  screen.style.aspectRatio = `${width} / ${height}`;
  if (leads) stage.style.setProperty("--widest", `calc(70vh * ${width / height})`);
}
for (const screen of stage.querySelectorAll(".screen")) shape(screen, data.width, data.height, true);
for (const [n, { element }] of videos.entries()) {
  element.addEventListener("loadedmetadata", () => {
    const { videoWidth, videoHeight } = element;
    if (videoWidth && videoHeight) shape(element.closest(".screen"), videoWidth, videoHeight, n === 0);
  });
}

// seconds at which a track begins or ends to sound
const changes = [...new Set(data.tracks.flatMap((track) => track.sounding.flat()))].sort((a, b) => a - b);

function change(direction) {
  const there = direction > 0
    ? changes.find((time) => time > player.at + 0.02)
    : changes.findLast((time) => time < player.at - (player.playing ? 0.5 : 0.02));
  if (there !== undefined) seek(there);
}

function stepMask(direction) {
  const { times } = data.masks;
  const there = canvas.frameAt(player.at) + direction;
  if (there >= 0 && there < times.length) seek(times[there]);
}

function setView(view) {
  stage.dataset.view = view;
  byId("wipe-row").hidden = view !== "wipe";
}

function setWipe(percent) {
  stage.style.setProperty("--wipe", `${percent}%`);
}

for (const choice of document.querySelectorAll("#views input")) {
  choice.addEventListener("change", () => setView(choice.value));
  if (choice.checked) setView(choice.value); // browsers keep choices when a page is loaded again
}

const wipe = byId("wipe");
if (wipe) {
  wipe.addEventListener("input", () => setWipe(wipe.value));
  setWipe(wipe.value);
  const drag = (event) => {
    const box = stage.querySelector(".screen").getBoundingClientRect();
    wipe.value = 100 * (event.clientX - box.left) / box.width;
    setWipe(wipe.value);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (stage.dataset.view !== "wipe" || event.button) return;
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.dataset.view === "wipe" && stage.hasPointerCapture(event.pointerId)) drag(event);
  });
}
stage.addEventListener("click", (event) => {
  if (stage.dataset.view !== "wipe" && event.target.closest(".screen")) player.toggle();
});

const pick = byId("pick");
let picked = null;
pick.addEventListener("change", () => {
  const source = videos.find((video) => video.element.id === "source");
  if (!pick.files.length || !source) return;
  if (picked) URL.revokeObjectURL(picked);
  picked = URL.createObjectURL(pick.files[0]);
  player.open(source, picked);
});

byId("play").addEventListener("click", () => player.toggle());
byId("previous").addEventListener("click", () => change(-1));
byId("next").addEventListener("click", () => change(1));
byId("mute").addEventListener("click", (event) => {
  player.mute(!player.muted);
  event.currentTarget.setAttribute("aria-pressed", player.muted);
  event.currentTarget.textContent = player.muted ? "Unmute" : "Mute";
});
for (const [id, on] of [["all", true], ["none", false]]) {
  byId(id)?.addEventListener("click", () => {
    for (const card of cards) if (card.listed) card.flip(on);
  });
}

const KEYS = {
  " ": () => player.toggle(),
  "ArrowLeft": (event) => (event.shiftKey ? stepMask(-1) : seek(player.at - 1)),
  "ArrowRight": (event) => (event.shiftKey ? stepMask(1) : seek(player.at + 1)),
  "[": () => change(-1),
  "]": () => change(1),
  "+": () => timeline.zoomBy(ZOOM_STEP),
  "-": () => timeline.zoomBy(1 / ZOOM_STEP),
  "0": () => timeline.zoomBy(0),
  "/": () => byId("search")?.focus(),
  "Home": () => seek(data.span[0]),
  "End": () => seek(data.span[1]),
};

// what the focused control does with a key itself
function isTaken(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.matches("input[type=search], select")) return true;
  if (target.matches("button, input[type=checkbox], input[type=file]")) return key === " ";
  return target.matches("input") && !["[", "]", "/", "+", "-"].includes(key);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.defaultPrevented || isTaken(event.target, event.key)) return;
  const number = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
  const card = number && cards.find(({ track }) => track.id === number);
  if (card) card.flip(!card.box.checked);
  else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key](event);
  else return;
  event.preventDefault();
});

// after a click with the pointer the keys belong to the player again
document.addEventListener("click", (event) => {
  if (event.detail > 0 && document.activeElement?.matches("button, input[type=checkbox], input[type=radio]")) {
    document.activeElement.blur();
  }
});

const play = byId("play");
const clock = byId("clock");

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function show() {
  player.tick();
  timeline.show(player.at);
  canvas.draw(player.at);
  for (const card of cards) card.show(player.at);
  if (data.tracks.length) list.show(player.at);
  play.disabled = player.leader === null;
  setText(play, player.playing ? "Pause" : "Play");
  setText(clock, `${clockText(player.at)} / ${clockText(data.span[1])}`);
  requestAnimationFrame(show);
}
show();
