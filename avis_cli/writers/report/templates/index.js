// Filter by category, sort by name, score or sounding time.

const clips = document.getElementById("clips");
const category = document.getElementById("category");
const order = document.getElementById("order");
const cards = [...clips.children].map((element) => ({
  element,
  name: element.querySelector("h2").textContent,
  score: Number(element.dataset.score),
  seconds: Number(element.dataset.seconds),
  categories: [...element.querySelectorAll("li:not(.nothing)")].map((item) => item.textContent),
}));

const names = new Intl.Collator(undefined, { numeric: true });
const byName = (a, b) => names.compare(a.name, b.name);
const ORDERS = {
  name: byName,
  score: (a, b) => b.score - a.score || byName(a, b),
  seconds: (a, b) => b.seconds - a.seconds || byName(a, b),
};

function matches(card) {
  if (category.value === "all") return true;
  if (category.value === "none") return card.categories.length === 0;
  return card.categories.includes(category.value.slice("is ".length));
}

function show() {
  let shown = 0;
  for (const card of cards.sort(ORDERS[order.value])) {
    card.element.hidden = !matches(card);
    shown += card.element.hidden ? 0 : 1;
    clips.append(card.element);
  }
  document.getElementById("count").textContent = `${shown} of ${cards.length}`;
  document.getElementById("nothing").hidden = shown > 0;
}

category.addEventListener("change", show);
order.addEventListener("change", show);
show();
