// Small helpers for the document. Texts of the data only ever become text nodes.

const byId = id => document.getElementById(id);
const svgSpace = document.querySelector('svg').namespaceURI;

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function add(parent, name, attributes, text) {
  const isSvg = parent.namespaceURI === svgSpace;
  const element = isSvg ? document.createElementNS(svgSpace, name) : document.createElement(name);
  if (text !== undefined) element.textContent = text;
  parent.append(set(element, attributes || {}));
  return element;
}

/** The drawing of a figure, as wide as there is room. */
function sized(figure, height) {
  const svg = figure.querySelector('svg');
  const width = Math.max(280, Math.round(figure.clientWidth));
  set(svg, { viewBox: '0 0 ' + width + ' ' + height, height });
  return { svg, width };
}

const ruler = document.createElement('canvas').getContext('2d');
const family = getComputedStyle(document.body).fontFamily;

/** As much of a text as fits into so many pixels; nothing if that is less than three letters. */
function fitted(text, room, size, weight) {
  ruler.font = (weight || 400) + ' ' + size + 'px ' + family;
  const fits = length => ruler.measureText(shortened(text, length)).width <= room;
  if (fits(text.length)) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low < 4 ? '' : shortened(text, low);
}

/** Bars, lines and labels that nobody can focus: made anew each time. */
function layer(svg, name) {
  const known = svg.querySelector(':scope > g.' + name);
  const group = known || add(svg, 'g', { class: name });
  group.replaceChildren();
  return group;
}

/** Shows what is pointed at or focused below its figure. */
function readout(figure, text) {
  figure.querySelector('.readout').textContent = text || '\u00a0';
}

/** Fills the table of a figure if it is open. Cells are texts, numbers, or a function that fills its cell. */
function fillTable(figure, heads, rowsOf) {
  const details = figure.querySelector('details');
  if (!details.open) {
    details.ontoggle = () => details.open && fillTable(figure, heads, rowsOf);
    return;
  }
  const focused = document.activeElement && document.activeElement.dataset.row;
  const place = details.querySelector('.scrolls');
  const inside = place.contains(document.activeElement);
  place.replaceChildren();
  const table = add(place, 'table');
  const head = add(add(table, 'thead'), 'tr');
  heads.forEach(name => add(head, 'th', { scope: 'col' }, name));
  const body = add(table, 'tbody');
  rowsOf().forEach(cells => fillRow(add(body, 'tr'), cells));
  if (inside && focused) place.querySelector('[data-row="' + focused + '"]').focus();
}

function fillRow(row, cells) {
  cells.forEach((cell, column) => {
    const element = add(row, column === 0 ? 'th' : 'td', column === 0 ? { scope: 'row' } : {});
    if (typeof cell === 'function') return cell(element);
    if (typeof cell === 'number') element.className = 'number';
    element.textContent = typeof cell === 'number' ? number(cell) : cell;
  });
}

/** One of several elements takes part in the order of the Tab key: the one that was used last. */
function rove(elements, current) {
  elements.forEach((element, index) => element.setAttribute('tabindex', index === current ? 0 : -1));
}

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Round numbers from 0 to the highest value, up to five above 0. */
function ticks(most) {
  const step = roundedDown(most / 2);
  const marks = [0];
  while (marks.length * step <= Math.max(most, 1)) marks.push(marks.length * step);
  return marks;
}

/** Lines with numbers, and the function that turns a value into a height on the page. */
function scaleY(parent, most, left, right, top, bottom) {
  const y = value => bottom - (bottom - top) * value / Math.max(most, 1);
  ticks(most).forEach(mark => {
    add(parent, 'line', { class: 'rule', x1: left, x2: right, y1: y(mark), y2: y(mark) });
    add(parent, 'text', { class: 'tick', x: left - 9, y: y(mark) + 4, 'text-anchor': 'end' }, short(mark));
  });
  return y;
}

/** `12k`, `3.5M` */
function short(value) {
  if (value >= 1e9) return value / 1e9 + 'G';
  if (value >= 1e6) return value / 1e6 + 'M';
  return value >= 1e4 ? value / 1e3 + 'k' : String(value);
}
