/** What the page is drawn with. */

const MEASUREMENTS = 40; // round trips shown
const SPARK_WIDTH = 120; // in units of the drawing

export const $ = (id) => document.getElementById(id);

/** Make an element that shows text, whatever the text contains. */
export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A disc with the first letter of a name, in a colour of its own. */
export function avatar(name) {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 65_521;
  const letters = new Intl.Segmenter().segment(name)[Symbol.iterator]();
  const disc = element("span", "avatar", letters.next().value.segment.toUpperCase());
  // Steps of the golden angle keep even similar names apart.
  disc.style.setProperty("--hue", Math.round(hash * 137.508) % 360);
  disc.setAttribute("aria-hidden", "true");
  return disc;
}

function duration(milliseconds) {
  if (milliseconds < 1) return `${milliseconds.toFixed(2)} ms`;
  return milliseconds < 100 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}

/** Shows how long messages to the server and back took. */
export class RoundTrips {
  values = [];

  add(milliseconds) {
    this.values = [...this.values, milliseconds].slice(-MEASUREMENTS);
    const sorted = [...this.values].sort((a, b) => a - b);
    $("rtt").textContent = duration(milliseconds);
    $("best").textContent = duration(sorted[0]);
    $("median").textContent = duration(sorted[sorted.length >> 1]);
    this.draw(sorted.at(-1));
  }

  clear() {
    $("rtt").textContent = "–";
  }

  /** Draw a line; the tallest value fills the height. */
  draw(tallest) {
    const step = SPARK_WIDTH / (MEASUREMENTS - 1);
    const left = SPARK_WIDTH - (this.values.length - 1) * step;
    const height = (value) => 34 - (30 * value) / Math.max(tallest, 0.5);
    const points = this.values.map((value, i) => `${(left + i * step).toFixed(1)},${height(value).toFixed(1)}`);
    $("spark-line").setAttribute("points", points.join(" "));
    $("spark-area").setAttribute("points", [`${left},36`, ...points, `${SPARK_WIDTH},36`].join(" "));
  }
}
