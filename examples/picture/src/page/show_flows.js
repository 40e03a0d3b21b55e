// First and last events.

const flowsFigure = byId('flows');
const FLOWS = { height: 300, top: 8, node: 10, gap: 8 };
const flowNodes = { first: [], last: [] };

function makeFlows(data) {
  const svg = flowsFigure.querySelector('svg');
  layer(svg, 'bands');
  [['first', data.firsts], ['last', data.lasts]].forEach(([side, names]) => names.forEach((name, index) => {
    const node = add(svg, 'g', { class: 'node ' + side, role: 'img', 'data-side': side, 'data-index': index });
    ['hit', 'block'].forEach(part => add(node, 'rect', { class: part }));
    add(node, 'text');
    const enter = () => lightUp(side, index);
    node.addEventListener('pointerenter', enter);
    node.addEventListener('pointerleave', () => lightUp());
    node.addEventListener('focus', () => {
      rove(allNodes(), allNodes().indexOf(node));
      enter();
    });
    node.addEventListener('blur', () => lightUp());
    node.addEventListener('keydown', event => nodeKey(event, side, node));
    flowNodes[side].push(node);
  }));
}

function allNodes() {
  return flowNodes.first.concat(flowNodes.last);
}

/** The bands of one event, or none, before all others. */
function lightUp(side, index) {
  flowsFigure.querySelectorAll('.bands path').forEach(band => {
    band.classList.toggle('lit', side !== undefined && Number(band.dataset[side]) === index);
  });
  flowsFigure.classList.toggle('lights', side !== undefined);
  readout(flowsFigure, side !== undefined && flowNodes[side][index].getAttribute('aria-label'));
}

function nodeKey(event, side, node) {
  const shown = list => list.filter(node => node.style.display !== 'none');
  const list = shown(flowNodes[side]);
  const at = list.indexOf(node);
  const across = shown(flowNodes[side === 'first' ? 'last' : 'first']);
  const targets = {
    ArrowUp: list[at - 1],
    ArrowDown: list[at + 1],
    Home: list[0],
    End: list[list.length - 1],
    ArrowLeft: side === 'last' && across[Math.min(at, across.length - 1)],
    ArrowRight: side === 'first' && across[Math.min(at, across.length - 1)],
  };
  if (!(event.key in targets)) return;
  if (targets[event.key]) targets[event.key].focus();
  event.preventDefault();
}

function showFlows(data, sums) {
  const { svg, width } = sized(flowsFigure, FLOWS.height);
  const layout = flowLayout(Array.from(sums.flows), data.firsts.length, data.lasts.length, FLOWS.height - 2 * FLOWS.top, FLOWS.gap);
  const labels = Math.min(150, width * 0.29);
  const [left, right] = [labels, width - labels];
  const bands = layer(svg, 'bands');
  layout.bands.forEach(band => {
    add(bands, 'path', { d: bandPath(band, left + FLOWS.node, right - FLOWS.node), 'data-first': band.first, 'data-last': band.last });
  });
  showNodes('first', layout.left, left, labels, data.firsts, sums);
  showNodes('last', layout.right, right - FLOWS.node, labels, data.lasts, sums);
  const shown = allNodes().findIndex(node => node.style.display !== 'none');
  if (!allNodes().some(node => node.getAttribute('tabindex') === '0' && node.style.display !== 'none')) rove(allNodes(), shown);
  flowsFigure.querySelector('figcaption').textContent = flowsSaid(data, sums);
  fillTable(flowsFigure, ['First event', 'Last event', 'Sessions'], () => flowRows(data, sums).map(row => {
    return [data.firsts[row.first], data.lasts[row.last], row.sessions];
  }));
}

function bandPath(band, left, right) {
  const middle = (left + right) / 2;
  const [from, to] = [FLOWS.top + band.from, FLOWS.top + band.to];
  const curve = (x, y) => 'C' + [middle, x === right ? from : to + band.height, middle, y, x, y].join(' ');
  return 'M' + left + ' ' + from + curve(right, to) + 'V' + (to + band.height) + curve(left, from + band.height) + 'Z';
}

function showNodes(side, places, x, room, names, sums) {
  const shown = places.filter(place => place.sessions > 0);
  const middles = spread(shown.map(place => FLOWS.top + place.y + place.height / 2), 15, 8, FLOWS.height - 8);
  places.forEach((place, index) => {
    showNode(side, index, { ...place, middle: middles[shown.indexOf(place)] }, x, room, names[index], sums);
  });
}

function showNode(side, index, place, x, room, name, sums) {
  const node = flowNodes[side][index];
  node.style.display = place.sessions > 0 ? '' : 'none';
  const { sessions, middle } = place;
  if (sessions === 0) return;
  const does = side === 'first' ? ' begins ' : ' ends ';
  set(node, { 'aria-label': isolated(name) + does + counted(sessions, 'session') + ', ' + share(sessions, sums.total.sessions) });
  const [hit, block, text] = node.children;
  const y = FLOWS.top + place.y;
  const isLeft = side === 'first';
  const tall = Math.max(place.height, 14);
  set(hit, { x: isLeft ? 0 : x, y: middle - tall / 2, width: room + FLOWS.node, height: tall });
  set(block, { x, y, width: FLOWS.node, height: Math.max(place.height, 1) });
  set(text, { x: isLeft ? x - 6 : x + FLOWS.node + 6, y: middle + 4, 'text-anchor': isLeft ? 'end' : 'start' });
  text.textContent = fitted(name, room - 8, 13);
}

function flowRows(data, sums) {
  const rows = Array.from(sums.flows, (sessions, pair) => {
    return { first: Math.floor(pair / data.lasts.length), last: pair % data.lasts.length, sessions };
  });
  return rows.filter(row => row.sessions > 0).sort((a, b) => b.sessions - a.sessions);
}

function flowsSaid(data, sums) {
  const [row] = flowRows(data, sums);
  if (!row) return 'No sessions.';
  return 'Most often from ' + isolated(data.firsts[row.first]) + ' to ' + isolated(data.lasts[row.last]) + ': ' + counted(row.sessions, 'session')
    + ', ' + share(row.sessions, sums.total.sessions) + '.';
}
