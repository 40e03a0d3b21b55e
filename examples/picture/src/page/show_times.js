// Sessions and events over time, and the choice of a range.

const timesFigure = byId('times');
const TIMES = { left: 50, right: 16, top: 10, panel: 104, between: 22 };
TIMES.height = TIMES.top + 2 * TIMES.panel + TIMES.between + 24;
const handles = [];
let timesWidth = 0;

/** Where a bucket begins on the page. */
function timeX(data, time) {
  return TIMES.left + (timesWidth - TIMES.left - TIMES.right) * time / data.times.count;
}

function timeAt(data, event) {
  const box = timesFigure.querySelector('svg').getBoundingClientRect();
  const x = (event.clientX - box.left) * timesWidth / box.width;
  const share = (x - TIMES.left) / (timesWidth - TIMES.left - TIMES.right);
  return Math.max(0, Math.min(share * data.times.count, data.times.count));
}

function edgeText(data, time) {
  const [first, end] = fineRange(data.times);
  return timeText(edgeOf(data.times, time), time < first || time > end ? 1 : data.times.width);
}

function makeTimes(data) {
  const svg = timesFigure.querySelector('svg');
  ['axes', 'bars'].forEach(name => layer(svg, name));
  const area = add(svg, 'rect', { class: 'area' });
  area.addEventListener('pointerdown', event => startDrag(data, area, event));
  area.addEventListener('pointermove', event => tellTime(data, Math.floor(timeAt(data, event))));
  area.addEventListener('pointerleave', () => readout(timesFigure));
  ['from', 'to'].forEach(end => {
    const handle = add(svg, 'g', { class: 'handle', role: 'slider', tabindex: 0, 'data-end': end });
    set(handle, { 'aria-label': end === 'from' ? 'Range begins' : 'Range ends', 'aria-orientation': 'horizontal' });
    add(handle, 'rect', { class: 'grip', width: 24 });
    add(handle, 'rect', { class: 'line', width: 2 });
    add(handle, 'rect', { class: 'knob', width: 10, height: 28, rx: 4 });
    handle.addEventListener('keydown', event => handleKey(data, end, event));
    handle.addEventListener('pointerdown', event => dragHandle(data, handle, end, event));
    handle.addEventListener('focus', () => readout(timesFigure, handle.getAttribute('aria-valuetext')));
    handle.addEventListener('blur', () => readout(timesFigure));
    handles.push(handle);
  });
}

/** Follows the pointer until it is let go. */
function follow(element, event, move, end) {
  element.setPointerCapture(event.pointerId);
  element.onpointermove = move;
  element.onpointerup = element.onpointercancel = last => {
    element.onpointermove = element.onpointerup = element.onpointercancel = null;
    if (end && last.type === 'pointerup') end(last);
  };
}

/** A drag chooses all buckets it touches; a click chooses one, or lets go of it. */
function startDrag(data, area, event) {
  if (event.button !== 0) return;
  const start = timeAt(data, event);
  const first = Math.min(Math.floor(start), data.times.count - 1);
  let moved = false;
  const move = to => {
    const now = timeAt(data, to);
    moved = moved || Math.abs(to.clientX - event.clientX) > 4;
    if (moved) chooseTimes(Math.floor(Math.min(start, now)), Math.max(Math.ceil(Math.max(start, now)), first + 1));
  };
  follow(area, event, move, () => {
    if (moved) return;
    const isAlone = state.choice.from === first && state.choice.to === first + 1;
    if (isAlone) chooseTimes(0, data.times.count);
    else chooseTimes(first, first + 1);
  });
}

function dragHandle(data, handle, end, event) {
  if (event.button !== 0) return;
  handle.focus();
  event.preventDefault();
  follow(handle, event, to => moveEnd(data, end, Math.round(timeAt(data, to))));
}

function handleKey(data, end, event) {
  const page = Math.max(1, Math.round(data.times.count / 10));
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -page, PageUp: page };
  const now = state.choice[end];
  if (event.key in steps) moveEnd(data, end, now + steps[event.key]);
  else if (event.key === 'Home') moveEnd(data, end, 0);
  else if (event.key === 'End') moveEnd(data, end, data.times.count);
  else return;
  event.preventDefault();
}

/** The range keeps at least one bucket. */
function moveEnd(data, end, time) {
  const { from, to } = state.choice;
  if (end === 'from') chooseTimes(Math.max(0, Math.min(time, to - 1)), to);
  else chooseTimes(from, Math.min(data.times.count, Math.max(time, from + 1)));
}

function tellTime(data, time) {
  const at = Math.max(0, Math.min(time, data.times.count - 1));
  const { sessions, events, bounces } = state.sums.times[at];
  const range = edgeText(data, at) + ' to ' + edgeText(data, at + 1);
  readout(timesFigure, range + ': ' + counted(sessions, 'session') + ', ' + counted(bounces, 'bounce') + ', '
    + counted(events, 'event'));
}

function showTimes(data, choice, sums) {
  const { svg, width } = sized(timesFigure, TIMES.height);
  timesWidth = width;
  const [axes, bars] = [layer(svg, 'axes'), layer(svg, 'bars')];
  const second = TIMES.top + TIMES.panel + TIMES.between;
  const panel = (name, top, most) => {
    add(axes, 'text', { class: 'tick panel', x: TIMES.left + 10, y: top - 1 }, name);
    return scaleY(axes, most, TIMES.left, width - TIMES.right, top + 6, top + TIMES.panel);
  };
  const most = name => Math.max(0, ...sums.times.map(time => time[name]));
  const sessionsY = panel('sessions', TIMES.top, most('sessions'));
  const eventsY = panel('events', second, most('events'));
  sums.times.forEach((time, index) => {
    const aside = holdsTime(choice, index) ? '' : ' aside';
    const bar = (name, y, from, to) => timeBar(bars, data, index, name + aside, y(to), y(from));
    bar('bounces', sessionsY, 0, time.bounces);
    bar('stays', sessionsY, time.bounces, time.sessions);
    bar('clicks', eventsY, 0, time.events);
  });
  showTimeAxis(axes, data, TIMES.height - 8);
  showRange(data, choice);
  timesFigure.querySelector('figcaption').textContent = timesSaid(data, sums);
  const heads = ['From', 'Sessions', 'Bounces', 'Events', 'Seconds'];
  fillTable(timesFigure, heads, () => sums.times.map((time, index) => {
    return [edgeText(data, index), time.sessions, time.bounces, time.events, time.seconds];
  }));
}

function timeBar(parent, data, index, name, top, bottom) {
  if (bottom - top <= 0) return;
  const [left, right] = [timeX(data, index), timeX(data, index + 1)];
  const gap = right - left > 5 ? 1 : 0.25;
  // Few sessions lie outside: their bars would hardly be seen.
  const height = Math.max(bottom - top, isOutside(data.times, index) ? 3 : 0);
  add(parent, 'rect', { class: name, x: left + gap / 2, y: bottom - height, width: Math.max(right - left - gap, 0.5), height });
}

/** What lies outside is set apart. Returns where the labels of the axis may begin and end. */
function showOutside(parent, data, y) {
  const { count } = data.times;
  const [first, end] = fineRange(data.times);
  [first, end].filter(edge => edge % count !== 0).forEach(edge => {
    const x = timeX(data, edge);
    add(parent, 'line', { class: 'border', x1: x, x2: x, y1: TIMES.top, y2: y - 9 });
  });
  const label = (text, x, anchor) => add(parent, 'text', { class: 'tick', x, y: y + 2, 'text-anchor': anchor }, text);
  if (first > 0) label('before', timeX(data, first) - 8, 'end');
  if (end < count) label('after', timeX(data, count), 'end');
  return [first > 0 ? timeX(data, first) - 8 : -Infinity, end < count ? timeX(data, count) - 40 : timesWidth];
}

/** Labels where the clock shows something round and there is room; the date where it changes. */
function showTimeAxis(parent, data, y) {
  const { origin, width, count } = data.times;
  const isDays = width >= 86400;
  const room = isDays ? 84 : 58;
  const pixels = timeX(data, 1) - timeX(data, 0);
  const rounds = [1, 2, 3, 4, 6, 12, 24, 48].map(step => step * width);
  const clock = [60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400].filter(step => step % width === 0);
  const step = (isDays ? rounds : clock.concat(rounds)).find(step => step / width * pixels >= room) || count * width;
  const [first, end] = fineRange(data.times);
  let date = '';
  let [free, last] = showOutside(parent, data, y);
  for (let time = first; time < end; time++) {
    const seconds = origin + time * width;
    if (time > first && (isDays ? seconds - origin : seconds) % step !== 0) continue;
    const text = timeText(seconds, isDays ? 86400 : Math.min(width, 60) < 60 && step < 60 ? 1 : 60);
    const [day, hour] = text.split(' ');
    const label = isDays || day === date || !hour ? (hour || day) : step >= 86400 ? day : day.slice(5) + ' ' + hour;
    const x = timeX(data, time);
    const wide = label.length * 6.6;
    if (x < free + 8 || x + wide > last) continue;
    date = day;
    free = x + wide;
    add(parent, 'line', { class: 'rule', x1: x, x2: x, y1: y - 14, y2: y - 9 });
    add(parent, 'text', { class: 'tick', x, y: y + 2 }, label);
  }
}

function showRange(data, choice) {
  const height = TIMES.height - 24 - TIMES.top;
  const area = timesFigure.querySelector('.area');
  set(area, { x: TIMES.left, y: TIMES.top, width: timesWidth - TIMES.left - TIMES.right, height });
  handles.forEach(handle => {
    const end = handle.dataset.end;
    const x = timeX(data, choice[end]);
    const [grip, line, knob] = handle.children;
    // Outwards, so that a single bar between the two can still be clicked.
    set(grip, { x: end === 'from' ? x - 20 : x - 4, y: TIMES.top, height });
    set(line, { x: x - 1, y: TIMES.top, height });
    set(knob, { x: x - 5, y: TIMES.top + height / 2 - 14 });
    set(handle, {
      'aria-valuemin': end === 'from' ? 0 : choice.from + 1,
      'aria-valuemax': end === 'from' ? choice.to - 1 : data.times.count,
      'aria-valuenow': choice[end],
      'aria-valuetext': edgeText(data, choice[end]),
    });
    if (document.activeElement === handle) readout(timesFigure, edgeText(data, choice[end]));
  });
}

function timesSaid(data, sums) {
  const best = sums.times.reduce((best, time, index) => time.sessions > sums.times[best].sessions ? index : best, 0);
  const { sessions } = sums.times[best];
  if (sessions === 0) return 'No sessions.';
  const outside = outsideText(data.times, sums.times);
  return 'Bars of ' + duration(data.times.width) + '. Most sessions: ' + number(sessions) + ' from ' + edgeText(data, best) + '.'
    + (outside && ' In the bars at the ends: ' + outside + '.');
}
