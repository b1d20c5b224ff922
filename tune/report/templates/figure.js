// Figures that answer: the point nearest to the pointer is ringed and named, the arrow keys walk from point to point,
// buttons or Ctrl and the wheel zoom, dragging pans, and the figure can be saved as SVG or PNG.
for (const figure of document.querySelectorAll("figure.figure")) {
  const REACH = 24, CLOSEST = 20, PRINT_DPI = 300;
  const box = figure.querySelector(".figure-box");
  const svg = box.querySelector("svg");
  const marks = JSON.parse(figure.dataset.marks);
  const whole = svg.getAttribute("viewBox").split(/[\s,]+/).map(Number);
  let view = [...whole];
  let chosen = null;
  let drag = null;

  const element = (parent, name, attributes, text = "") => {
    const child = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, value);
    child.textContent = text;
    parent.append(child);
    return child;
  };
  const tools = element(figure, "div", { class: "figure-tools" });
  box.after(tools);
  const button = (text, label, act) =>
    element(tools, "button", { type: "button", "aria-label": label, title: label }, text).addEventListener("click", act);
  const label = element(figure, "div", { class: "figure-label", role: "status" });
  label.hidden = true;
  const ring = document.createElementNS(svg.namespaceURI, "circle");
  ring.setAttribute("class", "figure-ring");
  ring.setAttribute("visibility", "hidden");
  svg.append(ring);

  const onScreen = ([x, y]) => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
  const inFigure = (x, y) => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse());

  const choose = (mark) => {
    chosen = mark;
    label.hidden = mark === null;
    ring.setAttribute("visibility", mark === null ? "hidden" : "visible");
    if (mark === null) return;
    ring.setAttribute("cx", mark[0]);
    ring.setAttribute("cy", mark[1]);
    ring.setAttribute("r", (7 * view[2]) / svg.getBoundingClientRect().width);
    if (label.textContent !== mark[2]) label.textContent = mark[2];
    const { x, y } = onScreen(mark);
    // At the left it has all the width that it may have, and says how much it needs.
    label.style.left = 0;
    const frame = figure.getBoundingClientRect();
    // offsetWidth is rounded, and the label would stand out by a part of a pixel.
    const right = Math.max(0, frame.width - label.getBoundingClientRect().width);
    label.style.left = `${Math.min(Math.max(0, x - frame.x + 12), right)}px`;
    const above = y - frame.y - label.offsetHeight - 12;
    label.style.top = `${above >= 0 ? above : y - frame.y + 14}px`;
  };

  const nearest = (x, y) => {
    let best = null;
    let least = REACH;
    const matrix = svg.getScreenCTM();
    for (const mark of marks) {
      const distance = Math.hypot(matrix.a * mark[0] + matrix.e - x, matrix.d * mark[1] + matrix.f - y);
      if (distance < least) [best, least] = [mark, distance];
    }
    return best;
  };

  const inView = ([x, y]) => x >= view[0] && x <= view[0] + view[2] && y >= view[1] && y <= view[1] + view[3];
  const look = (x, y, width) => {
    const size = Math.min(Math.max(width, whole[2] / CLOSEST), whole[2]);
    const height = (size * whole[3]) / whole[2];
    const between = (value, low, room) => Math.min(Math.max(value, low), low + room);
    view = [between(x, whole[0], whole[2] - size), between(y, whole[1], whole[3] - height), size, height];
    svg.setAttribute("viewBox", view.join(" "));
    box.classList.toggle("zoomed", size < whole[2]);
    choose(chosen !== null && inView(chosen) ? chosen : null);
  };
  const zoom = (factor, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) =>
    look(x - (x - view[0]) / factor, y - (y - view[1]) / factor, view[2] / factor);
  const reset = () => look(whole[0], whole[1], whole[2]);

  const walk = (axis, step) => {
    const order = [...marks].sort((a, b) => a[axis] - b[axis] || a[1 - axis] - b[1 - axis]);
    if (!order.length) return;
    const first = step > 0 ? 0 : order.length - 1;
    const next = chosen === null ? first : order.indexOf(chosen) + step;
    const mark = order[Math.min(Math.max(next, 0), order.length - 1)];
    if (!inView(mark)) look(mark[0] - view[2] / 2, mark[1] - view[3] / 2, view[2]);
    const place = onScreen(mark).x - box.getBoundingClientRect().x;
    if (place < 20 || place > box.clientWidth - 20) box.scrollLeft += place - box.clientWidth / 2;
    choose(mark);
  };
  const keys = {
    ArrowRight: () => walk(0, 1),
    ArrowLeft: () => walk(0, -1),
    ArrowUp: () => walk(1, -1),
    ArrowDown: () => walk(1, 1),
    "+": () => zoom(1.5),
    "-": () => zoom(1 / 1.5),
    0: reset,
    Escape: () => choose(null),
  };

  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  box.addEventListener("blur", () => choose(null));
  for (const [of, name] of [[box, "scroll"], [window, "resize"]]) of.addEventListener(name, () => choose(chosen));
  box.addEventListener("pointerdown", (event) => {
    choose(nearest(event.clientX, event.clientY));
    if (view[2] < whole[2] && event.button === 0) {
      drag = inFigure(event.clientX, event.clientY);
      box.setPointerCapture(event.pointerId);
    }
  });
  box.addEventListener("pointermove", (event) => {
    if (drag === null) return choose(nearest(event.clientX, event.clientY));
    const here = inFigure(event.clientX, event.clientY);
    look(view[0] + drag.x - here.x, view[1] + drag.y - here.y, view[2]);
  });
  for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, () => (drag = null));
  box.addEventListener("pointerleave", () => drag === null && document.activeElement !== box && choose(null));
  box.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const { x, y } = inFigure(event.clientX, event.clientY);
      zoom(Math.exp(-event.deltaY / 300), x, y);
    },
    { passive: false },
  );

  // For print: the whole figure in its own size, black on white whatever the page's colours are.
  const printed = () => {
    const copy = svg.cloneNode(true);
    copy.querySelector(".figure-ring").remove();
    copy.removeAttribute("style");
    for (const [name, value] of [["viewBox", whole.join(" ")], ["width", `${whole[2]}pt`], ["height", `${whole[3]}pt`]])
      copy.setAttribute(name, value);
    return new XMLSerializer().serializeToString(copy).replace(/var\(--[\w-]+, (#\w+)\)/g, "$1");
  };
  const save = (blob, ending) => {
    const address = URL.createObjectURL(blob);
    const link = document.createElement("a");
    link.href = address;
    link.download = `${figure.dataset.name}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  };
  const saveSvg = () => save(new Blob([printed()], { type: "image/svg+xml" }), "svg");
  const savePng = async () => {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(printed())}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.round((whole[2] * PRINT_DPI) / 72);
    canvas.height = Math.round((whole[3] * PRINT_DPI) / 72);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(blob, "png"), "image/png");
  };

  button("+", "Zoom in", () => zoom(1.5));
  button("−", "Zoom out", () => zoom(1 / 1.5));
  button("Reset", "Show the whole figure", reset);
  button("SVG", "Save as SVG", saveSvg);
  button("PNG", "Save as PNG", savePng);
}
