// The treemap.

const groupsFigure = byId('groups');
const tiles = [];

function makeTiles(data) {
  const svg = groupsFigure.querySelector('svg');
  data.groups.forEach((name, group) => {
    const tile = add(svg, 'g', { class: 'tile', role: 'button', 'data-group': group });
    add(tile, 'rect');
    add(tile, 'text', { class: 'name' });
    add(tile, 'text', { class: 'value' });
    tile.addEventListener('click', event => chooseGroup(group, event.shiftKey || event.ctrlKey || event.metaKey));
    tile.addEventListener('keydown', event => tileKey(event, group));
    tile.addEventListener('focus', () => { focusTile(group); });
    tile.addEventListener('blur', () => readout(groupsFigure));
    tile.addEventListener('pointerenter', () => readout(groupsFigure, tile.getAttribute('aria-label')));
    tile.addEventListener('pointerleave', () => readout(groupsFigure));
    tiles.push(tile);
  });
}

let currentTile = 0;
let tileRectangles = [];

function focusTile(group) {
  currentTile = group;
  rove(tiles, group);
  readout(groupsFigure, tiles[group].getAttribute('aria-label'));
}

function tileKey(event, group) {
  const filled = tileRectangles.flatMap((rectangle, index) => rectangle ? [index] : []);
  if (event.key === 'Enter' || event.key === ' ') {
    chooseGroup(group, event.shiftKey || event.ctrlKey || event.metaKey);
  } else if (DIRECTIONS[event.key]) {
    tiles[neighbour(tileRectangles, group, DIRECTIONS[event.key])].focus();
  } else if (event.key === 'Home' || event.key === 'End') {
    tiles[filled[event.key === 'Home' ? 0 : filled.length - 1]].focus();
  } else {
    return;
  }
  event.preventDefault();
}

function groupText(name, sums) {
  return isolated(name) + ': ' + duration(sums.seconds) + ' in ' + counted(sums.sessions, 'session') + ', '
    + counted(sums.events, 'event');
}

function showGroups(data, choice, sums) {
  const { width } = sized(groupsFigure, 340);
  tileRectangles = squarifyWithRest(sums.groups.map(group => group.seconds), data.namedGroups, width, 340);
  const coloured = sums.groups.filter((sums, group) => sums.seconds > 0 && isNamed(data, group));
  const steps = colourSteps(coloured.map(group => group.events));
  tiles.forEach((tile, group) => {
    const colour = isNamed(data, group) ? colourOf(steps, stepOf(steps, sums.groups[group].events)) : 'none';
    showTile(tile, data.groups[group], sums.groups[group], tileRectangles[group], colour);
    const isChosen = choice.groups.has(group);
    tile.setAttribute('aria-pressed', isChosen);
    tile.classList.toggle('chosen', isChosen);
    tile.classList.toggle('aside', !holdsGroup(choice, group));
  });
  if (!tileRectangles[currentTile]) currentTile = Math.max(0, tileRectangles.findIndex(Boolean));
  rove(tiles, currentTile);
  showSteps(steps, coloured, data.groups[data.namedGroups]);
  groupsFigure.querySelector('figcaption').textContent = groupsSaid(data, sums);
  fillTable(groupsFigure, ['Group', 'Sessions', 'Events', 'Seconds', 'Bounces'], () => groupRows(data, choice, sums));
}

function showTile(tile, name, sums, rectangle, colour) {
  tile.style.display = rectangle ? '' : 'none';
  if (!rectangle) return;
  const { x, y, width, height } = rectangle;
  const [rect, label, value] = tile.children;
  set(tile, { 'aria-label': groupText(name, sums), 'data-colour': colour });
  set(rect, { x: x + 1, y: y + 1, width: Math.max(width - 2, 0.5), height: Math.max(height - 2, 0.5), rx: 3 });
  const full = height >= 24 ? fitted(name, width - 16, 14, 600) : '';
  const isNarrow = full !== name;
  tile.classList.toggle('narrow', isNarrow);
  const [left, first, next] = isNarrow ? [5, 15, 29] : [8, 19, 36];
  const title = isNarrow && height >= 18 ? fitted(name, width - 9, 11, 600) : full;
  const second = duration(sums.seconds);
  const isRoomy = title !== '' && height >= next + 8;
  set(label, { x: x + left, y: y + first }).textContent = title;
  set(value, { x: x + left, y: y + next }).textContent = isRoomy && fitted(second, width - left - 5, 12) === second ? second : '';
}

/** The legend; `others` is the name of what has no colour. */
function showSteps(steps, coloured, others) {
  const list = byId('steps');
  list.replaceChildren();
  const most = Math.max(0, ...coloured.map(group => group.events));
  steps.forEach((step, index) => {
    const item = add(list, 'li');
    add(item, 'span', { class: 'swatch', 'data-colour': colourOf(steps, index) });
    const last = index + 1 < steps.length ? steps[index + 1] - 1 : most;
    item.append(last > step ? number(step) + '–' + number(last) : number(step));
  });
  if (steps.length > 0) add(list, 'li', {}, 'events');
  if (others) {
    const item = add(list, 'li');
    add(item, 'span', { class: 'swatch', 'data-colour': 'none' });
    item.append(others + ', without a colour');
  }
}

function groupsSaid(data, sums) {
  const order = sums.groups.map((_, group) => group).filter(group => sums.groups[group].sessions > 0);
  order.sort((a, b) => isNamed(data, b) - isNamed(data, a) || sums.groups[b].seconds - sums.groups[a].seconds);
  const all = sums.groups.reduce((sum, group) => sum + group.seconds, 0);
  const said = order.slice(0, 3).concat(order.slice(3).filter(group => !isNamed(data, group)));
  const first = said.map(group => isolated(data.groups[group]) + ' ' + share(sums.groups[group].seconds, all));
  const flat = order.filter(group => sums.groups[group].seconds === 0).length;
  const unseen = flat > 0 ? ' ' + number(flat) + ' without any time in sessions: in the table only.' : '';
  return all > 0 ? 'Most time: ' + first.join(', ') + '.' + unseen : 'No time in sessions, so nothing to draw.' + unseen;
}

function groupRows(data, choice, sums) {
  const order = sums.groups.map((_, group) => group);
  order.sort((a, b) => sums.groups[b].seconds - sums.groups[a].seconds || sums.groups[b].sessions - sums.groups[a].sessions);
  return order.map(group => {
    const { sessions, events, seconds, bounces } = sums.groups[group];
    const choose = cell => {
      const attributes = { type: 'button', class: 'plain', 'aria-pressed': choice.groups.has(group), 'data-row': group };
      add(cell, 'button', attributes, data.groups[group]).onclick = event => {
        chooseGroup(group, event.shiftKey || event.ctrlKey || event.metaKey);
      };
    };
    return [choose, sessions, events, seconds, bounces];
  });
}
