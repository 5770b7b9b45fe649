"use strict";
// Viewer for the scans of a few cases: they are unpacked on demand and drawn by NiiVue. Nothing is fetched.
(() => {
  const section = document.getElementById("viewer");
  const part = (name) => document.getElementById(`viewer-${name}`);
  const cases = JSON.parse(document.getElementById("viewer-cases").textContent);
  const regions = JSON.parse(document.getElementById("viewer-regions").textContent);
  const names = {flair: "FLAIR", t1: "T1", t1ce: "T1ce", t2: "T2"};
  const axes = {sagittal: 0, coronal: 1, axial: 2};
  const CROSSHAIR = 0.6; // width in voxels; thinner lines fall between pixels
  const state = {index: 0, scan: null, unpacked: new Map(), masks: {}};
  let niivue = null, view = null, ground = null, overlay = null;

  const fail = (sentence) => { part("status").textContent = sentence; section.dataset.state = "failed"; };

  // Inverse of `base85` in report/scans.py; what is missing of the last group are the largest digits.
  function bytesOf(text) {
    const bytes = new Uint8Array(Math.ceil(text.length / 5) * 4);
    const view = new DataView(bytes.buffer);
    for (let from = 0, to = 0; from < text.length; to += 4) {
      let group = 0;
      for (let i = 0; i < 5; i++, from++) {
        const code = from < text.length ? text.charCodeAt(from) : 124;
        group = group * 85 + (code === 125 ? 60 : code) - 40;
      }
      view.setUint32(to, group);
    }
    return bytes.subarray(0, Math.floor(text.length * 4 / 5));
  }

  async function gunzipped(id) {
    const bytes = bytesOf(document.getElementById(id).textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Inverse of `packed` in report/scans.py: predict each voxel from those before it, and add the stored difference.
  async function unpack(id, {shape: [X, Y, Z], greys}) {
    const stored = await gunzipped(id);
    const head = new DataView(stored.buffer, stored.byteOffset);
    const sizes = [0, 4, 8].map((at) => head.getUint32(at, true));
    const next = [12, 12 + sizes[0], 12 + sizes[0] + sizes[1]];
    const voxels = new Uint8Array(X * Y * Z);
    const XY = X * Y, limit = Math.floor(greys / 12);
    for (let z = 0, i = 0; z < Z; z++) for (let y = 0; y < Y; y++) for (let x = 0; x < X; x++, i++) {
      const a = x ? voxels[i - 1] : 0, b = y ? voxels[i - X] : 0, c = z ? voxels[i - XY] : 0;
      const between = (x && y ? voxels[i - 1 - X] : 0) + (x && z ? voxels[i - 1 - XY] : 0) + (y && z ? voxels[i - X - XY] : 0);
      const predicted = Math.min(greys - 1, Math.max(0, Math.floor((4 * (a + b + c) - between) / 9)));
      const spread = Math.abs(a - predicted) + Math.abs(b - predicted) + Math.abs(c - predicted);
      voxels[i] = predicted + stored[next[spread === 0 ? 0 : spread <= limit ? 1 : 2]++];
    }
    return voxels;
  }

  // A NIfTI-1 file of uint8 voxels, axes L-P-S.
  function nifti({shape, spacing}, voxels) {
    const file = new ArrayBuffer(352 + voxels.length);
    const head = new DataView(file);
    head.setInt32(0, 348, true);
    [3, ...shape, 1, 1, 1, 1].forEach((n, i) => head.setInt16(40 + 2 * i, n, true));
    head.setInt16(70, 2, true);
    head.setInt16(72, 8, true);
    [1, ...spacing].forEach((mm, i) => head.setFloat32(76 + 4 * i, mm, true));
    head.setFloat32(108, 352, true);
    head.setFloat32(112, 1, true);
    head.setUint8(123, 2);
    head.setInt16(254, 1, true);
    spacing.forEach((mm, i) => head.setFloat32(280 + 20 * i, i < 2 ? -mm : mm, true));
    [0x6e, 0x2b, 0x31].forEach((letter, i) => head.setUint8(344 + i, letter));
    new Uint8Array(file, 352).set(voxels);
    return file;
  }

  async function scanVoxels(name) {
    const key = `scan-${state.index}-${name}`;
    if (!state.unpacked.has(key)) state.unpacked.set(key, await unpack(key, cases[state.index]));
    return state.unpacked.get(key);
  }

  const chosenRegion = () => document.querySelector("input[name=viewer-region]:checked").value;
  const region = () => regions[chosenRegion()];

  function insideRegion() {
    const inside = new Uint8Array(256);
    for (const label of region().labels) inside[label] = 1;
    return inside;
  }

  // For the chosen region: 1 in the reference only, 2 in the prediction only, 3 in both.
  function agreement() {
    const inside = insideRegion();
    const reference = part("reference").checked, prediction = part("prediction").checked;
    const {reference: one, prediction: two} = state.masks;
    const voxels = new Uint8Array(one.length);
    for (let i = 0; i < voxels.length; i++) {
      voxels[i] = (reference && inside[one[i]] ? 1 : 0) | (prediction && inside[two[i]] ? 2 : 0);
    }
    return voxels;
  }

  function refresh() {
    if (!overlay) return;
    overlay.img.set(agreement());
    view.volumes[1].opacity = part("strength").value / 100;
    view.updateGLVolume();
  }

  // The contrast: the greys within the window are spread from black to white.
  function contrast() {
    if (!overlay) return;
    const [level, width] = ["level", "window"].map((name) => part(name).value / 100 * (cases[state.index].greys - 1));
    ground.cal_min = level - width / 2;
    ground.cal_max = level + width / 2;
    view.updateGLVolume();
  }

  // The slices on which the chosen region has the largest area, by axis; null if the mask has none of it.
  function largest(mask) {
    const {shape} = cases[state.index];
    const inside = insideRegion();
    const areas = shape.map((length) => new Uint32Array(length));
    for (let i = 0; i < mask.length; i++) {
      if (!inside[mask[i]]) continue;
      areas[0][i % shape[0]]++;
      areas[1][Math.floor(i / shape[0]) % shape[1]]++;
      areas[2][Math.floor(i / (shape[0] * shape[1]))]++;
    }
    const found = areas.map((area) => area.indexOf(Math.max(...area)));
    return areas[0][found[0]] ? found : null;
  }

  // Move the crosshair to the chosen region: that of the reference, else that of the prediction.
  function aim() {
    const {shape} = cases[state.index];
    const found = largest(state.masks.reference) || largest(state.masks.prediction);
    part("absent").textContent = found ? "" : "Neither the reference nor the prediction has this region.";
    (found || shape.map((length) => length >> 1)).forEach((at, axis) => {
      // Voxel indices run to the left and posterior, the crosshair and the sliders to the right and anterior.
      part(Object.keys(axes)[axis]).value = axis < 2 ? shape[axis] - 1 - at : at;
    });
    place();
  }

  // The sequence on which the chosen region is seen best, if the case has it.
  const seenOn = ({scans}) => (scans.includes(region().seen) ? region().seen : scans[0]);

  async function follow() {
    if (!overlay) return;
    const scan = seenOn(cases[state.index]);
    document.querySelector(`input[name=viewer-scan][value="${CSS.escape(scan)}"]`).checked = true;
    overlay.img.set(agreement());
    await showScan(scan);
    aim();
    section.dataset.region = chosenRegion();
  }

  async function showScan(name) {
    state.scan = name;
    ground.img.set(await scanVoxels(name));
    view.updateGLVolume();
    section.dataset.scan = name;
  }

  function place() {
    const {shape} = cases[state.index];
    const at = (name) => Number(part(name).value);
    // NiiVue takes fractions of the volume from its left, posterior and inferior corner; onLocationChange is the inverse.
    view.scene.crosshairPos = [(at("sagittal") + 0.5) / shape[0], (at("coronal") + 0.5) / shape[1], (at("axial") + 0.5) / shape[2]];
    view.drawScene();
    label();
  }

  function label() {
    const {shape} = cases[state.index];
    for (const name of Object.keys(axes)) {
      part(name).nextElementSibling.textContent = `${Number(part(name).value) + 1}/${shape[axes[name]]}`;
    }
  }

  function crosshair() {
    if (!view) return;
    view.setCrosshairWidth(part("crosshair").checked ? CROSSHAIR : 0);
  }

  async function showCase(index) {
    section.dataset.state = "loading";
    part("status").textContent = "Unpacking the scans …";
    await new Promise((done) => setTimeout(done, 20));
    Object.assign(state, {index, unpacked: new Map(), masks: {}});
    const facts = cases[index];
    const chosen = facts.scans.includes(state.scan) ? state.scan : seenOn(facts);
    part("scans").innerHTML = facts.scans.map((name) => `<label><input type="radio" name="viewer-scan" value="${name}" ${name === chosen ? "checked" : ""}><span>${names[name] || name}</span></label>`).join("");
    for (const mask of ["reference", "prediction"]) state.masks[mask] = await gunzipped(`mask-${index}-${mask}`);
    const voxels = await scanVoxels(chosen);
    overlay = null;
    ground = await niivue.NVImage.new(nifti(facts, voxels), "scan.nii", "gray", 1, null, 0, facts.greys - 1);
    const marks = await niivue.NVImage.new(nifti(facts, agreement()), "marks.nii", "gray", 1, null, 0, 3);
    marks.setColormapLabel({R: [0, 230, 86, 0], G: [0, 159, 180, 158], B: [0, 0, 233, 115], A: [0, 255, 255, 255], I: [0, 1, 2, 3], labels: ["", "missed", "false", "both"]});
    marks.hdr.intent_code = 1002; // label image, so that NiiVue draws outlines
    view.volumes = [];
    view.addVolume(ground);
    view.addVolume(marks);
    overlay = marks;
    for (const [name, axis] of Object.entries(axes)) part(name).max = facts.shape[axis] - 1;
    refresh();
    contrast();
    aim();
    Object.assign(section.dataset, {state: "ready", case: String(index), scan: chosen, region: chosenRegion()});
    state.scan = chosen;
    part("status").textContent = "";
  }

  async function start() {
    if (section.dataset.state !== "waiting") return;
    section.dataset.state = "loading";
    if (typeof DecompressionStream === "undefined" || !document.createElement("canvas").getContext("webgl2")) {
      fail("This browser has no WebGL 2, so it cannot show the scans. Everything else on this page works.");
      return;
    }
    try {
      const script = document.createElement("script");
      script.textContent = new TextDecoder().decode(await gunzipped("niivue-source"));
      document.head.append(script);
      niivue = window.niivue;
      view = new niivue.Niivue({
        backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 1], crosshairWidth: CROSSHAIR, fontColor: [0.75, 0.75, 0.75, 1],
        isRadiologicalConvention: true, sliceType: 3, multiplanarShowRender: 0, multiplanarPadPixels: 4,
        dragAndDropEnabled: false, scrollRequiresFocus: true, logLevel: "silent", loadingText: "", dragMode: 0,
        isForceMouseClickToVoxelCenters: true, showLegend: false, atlasOutline: 0.9, sagittalNoseLeft: true, isColorbar: false,
      });
      await view.attachToCanvas(part("canvas"));
      crosshair();
      view.onLocationChange = () => {
        if (!overlay) return;
        const {shape} = cases[state.index];
        for (const [name, axis] of Object.entries(axes)) {
          part(name).value = Math.min(shape[axis] - 1, Math.floor(view.scene.crosshairPos[axis] * shape[axis]));
        }
        label();
      };
      await showCase(0);
    } catch (problem) {
      fail(`The scan viewer could not start (${problem.message}). Everything else on this page works.`);
    }
  }

  part("case").addEventListener("change", (event) => showCase(Number(event.target.value)));
  part("scans").addEventListener("change", (event) => showScan(event.target.value));
  for (const name of ["reference", "prediction", "strength"]) part(name).addEventListener("input", refresh);
  for (const radio of document.querySelectorAll("input[name=viewer-region]")) radio.addEventListener("change", follow);
  for (const name of ["level", "window"]) part(name).addEventListener("input", contrast);
  part("crosshair").addEventListener("input", crosshair);
  part("reset").addEventListener("click", () => {
    for (const name of ["level", "window", "strength"]) part(name).value = part(name).defaultValue;
    refresh();
    contrast();
  });
  for (const name of Object.keys(axes)) part(name).addEventListener("input", place);
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver((seen) => {
      if (seen.some((one) => one.isIntersecting)) { watch.disconnect(); start(); }
    }, {rootMargin: "150px"});
    watch.observe(section);
  } else start();
})();
