// First events on the left, last events on the right, and a band for each pair, as thick as it has
// sessions.

/** `flows`: sessions by first and last event. `gap`: between one event and the next. */
function flowLayout(flows, firsts, lasts, height, gap) {
  const left = new Array(firsts).fill(0);
  const right = new Array(lasts).fill(0);
  flows.forEach((sessions, pair) => {
    left[Math.floor(pair / lasts)] += sessions;
    right[pair % lasts] += sessions;
  });
  const total = left.reduce((a, b) => a + b, 0);
  const most = Math.max(left.filter(Boolean).length, right.filter(Boolean).length, 1);
  const scale = total > 0 ? (height - gap * (most - 1)) / total : 0;
  const layout = { left: stacked(left, scale, height, gap), right: stacked(right, scale, height, gap), bands: [] };
  const from = layout.left.map(node => node.y);
  const to = layout.right.map(node => node.y);
  flows.forEach((sessions, pair) => {
    if (sessions === 0) return;
    const [first, last] = [Math.floor(pair / lasts), pair % lasts];
    const thick = sessions * scale;
    layout.bands.push({ first, last, sessions, from: from[first], to: to[last], height: thick });
    from[first] += thick;
    to[last] += thick;
  });
  return layout;
}

/** Moves places in ascending order apart, as little as needed, and keeps them within the bounds if they fit. */
function spread(places, distance, low, high) {
  const moved = [];
  places.forEach((place, index) => moved.push(Math.max(place, index > 0 ? moved[index - 1] + distance : low)));
  for (let index = moved.length - 1, most = high; index >= 0; index--, most = moved[index + 1] - distance) {
    moved[index] = Math.min(moved[index], most);
  }
  return moved;
}

/** One below the other, in the middle of the height. Those without sessions take no room. */
function stacked(values, scale, height, gap) {
  const filled = values.filter(Boolean).length;
  const used = values.reduce((sum, value) => sum + value * scale, 0) + gap * Math.max(filled - 1, 0);
  let y = (height - used) / 2;
  return values.map(value => {
    const node = { y, height: value * scale, sessions: value };
    if (value > 0) y += node.height + gap;
    return node;
  });
}
