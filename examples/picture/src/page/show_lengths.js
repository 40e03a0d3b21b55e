// The histogram of durations.

const lengthsFigure = byId('lengths');
const LENGTHS = { left: 50, right: 8, top: 8, bottom: 210, height: 262 };

/** `5 s to 10 s` */
function lengthText(data, kind) {
  if (kind === 0) return 'one event';
  if (kind === 1) return 'several events in one instant';
  return lengthEdge(data, kind - 2) + ' to ' + lengthEdge(data, kind - 1);
}

function lengthEdge(data, edge) {
  return duration(data.lengths[edge]);
}

function showLengths(data, sums) {
  const { svg, width } = sized(lengthsFigure, LENGTHS.height);
  const [axes, bars] = [layer(svg, 'axes'), layer(svg, 'bars')];
  const others = sums.kinds.slice(2);
  const bounces = sums.kinds[0].sessions + sums.kinds[1].sessions;
  const most = Math.max(bounces, ...others.map(kind => kind.sessions));
  const y = scaleY(axes, most, LENGTHS.left, width - LENGTHS.right, LENGTHS.top, LENGTHS.bottom);
  const slot = (width - LENGTHS.left - LENGTHS.right) / (others.length + 2);
  const bar = (kind, name, place, from, to) => {
    const x = LENGTHS.left + slot * place;
    if (to > from) lengthBar(bars, { class: name, x: x + 1, y: y(to), width: slot - 2, height: y(from) - y(to) }, data, kind, sums);
  };
  bar(0, 'bounces', 0.25, 0, sums.kinds[0].sessions);
  bar(1, 'instants', 0.25, sums.kinds[0].sessions, bounces);
  others.forEach((kind, index) => bar(index + 2, 'stays', index + 2, 0, kind.sessions));
  showLengthAxis(axes, data, slot);
  lengthsFigure.querySelector('figcaption').textContent = lengthsSaid(data, sums);
  fillTable(lengthsFigure, ['Duration', 'Sessions', 'Events', 'Seconds'], () => sums.kinds.map((kind, index) => {
    return [lengthText(data, index), kind.sessions, kind.events, kind.seconds];
  }));
}

function lengthBar(parent, attributes, data, kind, sums) {
  const rect = add(parent, 'rect', attributes);
  const { sessions } = sums.kinds[kind];
  const text = lengthText(data, kind) + ': ' + counted(sessions, 'session') + ', ' + share(sessions, sums.total.sessions);
  rect.addEventListener('pointerenter', () => readout(lengthsFigure, text));
  rect.addEventListener('pointerleave', () => readout(lengthsFigure));
}

/** The edges between the bars, slanted, since there is not much room. */
function showLengthAxis(parent, data, slot) {
  const label = (x, text) => {
    const at = x + ' ' + (LENGTHS.bottom + 14);
    add(parent, 'text', { class: 'tick', 'text-anchor': 'end', transform: 'translate(' + at + ') rotate(-40)' }, text);
  };
  label(LENGTHS.left + slot * 0.75 + 4, 'bounce');
  const every = slot < 16 ? 2 : 1;
  data.lengths.forEach((_, edge) => {
    const x = LENGTHS.left + slot * (edge + 2);
    add(parent, 'line', { class: 'rule', x1: x, x2: x, y1: LENGTHS.bottom, y2: LENGTHS.bottom + 5 });
    if (edge % every === 0) label(x + 4, lengthEdge(data, edge));
  });
}

function lengthsSaid(data, sums) {
  const { sessions, bounces, seconds } = sums.total;
  if (sessions === 0) return 'No sessions.';
  const stays = sums.kinds.slice(2);
  const best = stays.reduce((best, kind, index) => kind.sessions > stays[best].sessions ? index : best, 0);
  const most = stays[best].sessions > 0 ? ' Of the others most last ' + lengthText(data, best + 2) + '.' : '';
  return share(bounces, sessions) + ' bounces (' + number(bounces) + ' of ' + number(sessions) + ').' + most
    + ' On average: ' + duration(Math.round(seconds / sessions)) + '.';
}
