"use strict";
(function () {
  const root = document.getElementById("tests-table");
  const stored = JSON.parse(document.getElementById("tests-data").textContent);
  const kinds = { 8: Uint8Array, 16: Uint16Array, 32: Uint32Array };
  const unpack = (column) => {
    const raw = atob(column.data);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new kinds[column.bits](bytes.buffer);
  };
  const counts = {};
  const columns = [];
  for (const column of stored.columns) {
    const codes = unpack(column);
    if (column.values === null) counts[column.name] = codes;
    else columns.push({ name: column.name, values: column.values, codes: codes, chosen: -1 });
  }
  const n = stored.rows, success = counts.n_success, right = counts.n_victim_correct;
  const rate = new Float64Array(n);
  for (let i = 0; i < n; i++) rate[i] = success[i] / right[i];
  const wilson = (k, m) => {
    const z = 1.959963984540054, p = k / m, d = 1 + z * z / m;
    const mid = (p + z * z / (2 * m)) / d, half = z / d * Math.sqrt(p * (1 - p) / m + z * z / (4 * m * m));
    return [k === 0 ? 0 : mid - half, k === m ? 1 : mid + half];
  };
  const percent = (x) => (100 * x).toFixed(1);
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };

  let order = { key: null, down: false }, found = new Uint32Array(0), shown = 0;
  const STEP = 200;
  const filters = root.querySelector(".filters"), body = root.querySelector("tbody");
  const head = root.querySelector("thead tr"), said = root.querySelector(".said");
  const box = root.querySelector("input[type=search]"), more = root.querySelector(".more");

  for (const column of columns) {
    if (column.values.length < 2 || column.values.length > 500) continue;
    const label = make("label", column.name), select = make("select");
    select.append(make("option", "all"));
    for (const value of column.values) select.append(make("option", value === "" ? "(none)" : value));
    select.addEventListener("change", () => { column.chosen = select.selectedIndex - 1; update(); });
    label.append(select);
    filters.append(label);
  }
  const heads = [];
  const addHead = (name, key, left) => {
    const cell = make("th", undefined, left ? "left" : ""), role = /^(surrogate|victim) (.+)$/.exec(name);
    const button = make("button", role ? role[2] : name);
    if (role) button.append(make("small", role[1]));
    cell.setAttribute("aria-sort", "none");
    button.type = "button";
    button.addEventListener("click", () => {
      order = order.key === key ? { key: key, down: !order.down } : { key: key, down: key === "rate" };
      update();
    });
    cell.append(button);
    head.append(cell);
    heads.push({ cell: cell, key: key });
  };
  const FIRST = columns.findIndex((column) => column.name === "case") + 1 || 2;
  columns.slice(0, FIRST).forEach((column) => addHead(column.name, column, true));
  addHead("success %", "rate", false);
  addHead("fooled / right", "right", false);
  columns.slice(FIRST).forEach((column) => addHead(column.name, column, true));

  const update = () => {
    const began = performance.now();
    const active = columns.filter((column) => column.chosen >= 0);
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const marks = words.map((word) => columns.map((column) =>
      Uint8Array.from(column.values, (value) => value.toLowerCase().includes(word) ? 1 : 0)));
    const picked = new Uint32Array(n);
    let size = 0, total = 0;
    rows: for (let i = 0; i < n; i++) {
      for (const column of active) if (column.codes[i] !== column.chosen) continue rows;
      for (const mark of marks) {
        let hit = 0;
        for (let c = 0; c < columns.length && !hit; c++) hit = mark[c][columns[c].codes[i]];
        if (!hit) continue rows;
      }
      picked[size++] = i;
      total += rate[i];
    }
    found = picked.slice(0, size);
    if (order.key !== null) {
      const values = order.key === "rate" ? rate : order.key === "right" ? right : order.key.codes;
      const sign = order.down ? -1 : 1;
      found.sort((a, b) => sign * (values[a] - values[b]) || a - b);
    }
    for (const entry of heads)
      entry.cell.setAttribute("aria-sort", entry.key !== order.key ? "none" : order.down ? "descending" : "ascending");
    body.replaceChildren();
    shown = 0;
    extend();
    said.textContent = size.toLocaleString("en") + " of " + n.toLocaleString("en") + " tests" +
      (size ? "; mean success " + percent(total / size) + " % (plain mean over the tests chosen: a description)" : "");
    root.dataset.milliseconds = (performance.now() - began).toFixed(1);
    root.dataset.found = size;
  };
  const extend = () => {
    const end = Math.min(found.length, shown + STEP), part = document.createDocumentFragment();
    for (; shown < end; shown++) {
      const i = found[shown], row = make("tr");
      const cells = columns.map((column) => make("td", column.values[column.codes[i]], "left"));
      const bounds = wilson(success[i], right[i]), cell = make("td", percent(rate[i]) + " ");
      cell.append(make("small", "[" + percent(bounds[0]) + ", " + percent(bounds[1]) + "]"));
      row.append(...cells.slice(0, FIRST), cell, make("td", success[i] + " / " + right[i]), ...cells.slice(FIRST));
      part.append(row);
    }
    body.append(part);
    more.hidden = shown >= found.length;
    more.textContent = "show " + Math.min(STEP, found.length - shown) + " more";
  };
  more.addEventListener("click", extend);
  let waiting = 0;
  box.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(update, 120); });
  root.querySelector(".reset").addEventListener("click", () => {
    for (const column of columns) column.chosen = -1;
    for (const select of filters.querySelectorAll("select")) select.selectedIndex = 0;
    box.value = "";
    order = { key: null, down: false };
    update();
  });
  root.hidden = false;
  update();
})();
