// Draws the charts with Plotly, and brings the page up to date when the event log has grown.
"use strict";

const EVERY_MS = 5000;
const dark = matchMedia("(prefers-color-scheme: dark)");

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: color("--line"), linecolor: color("--line"), zerolinecolor: color("--line") };
  return {
    ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: color("--text"), family: "system-ui, sans-serif", size: 12 },
    hoverlabel: { bgcolor: color("--card"), font: { color: color("--text") } },
    showlegend: true,
  };
}

function draw() {
  if (!window.Plotly) return;
  for (const place of document.querySelectorAll(".chart")) {
    const figure = JSON.parse(place.dataset.figure);
    const layout = themed(figure.layout);
    layout.showlegend = figure.data.length > 1;
    Plotly.react(place, figure.data, layout, { responsive: true, displaylogo: false, displayModeBar: false });
  }
}

let known = null;

async function follow() {
  const live = document.getElementById("live");
  try {
    const position = await (await fetch("/position", { cache: "no-store" })).text();
    if (known !== null && position !== known && !document.activeElement.closest("form")) {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const place of document.querySelectorAll(".chart")) Plotly.purge(place);
      document.getElementById("main").replaceWith(document.adoptNode(page.getElementById("main")));
      live.textContent = page.getElementById("live").textContent;
      draw();
      known = position;
    }
    if (known === null) known = position;
    live.classList.remove("lost");
  } catch {
    live.classList.add("lost"); // the server has stopped; it is asked again
  }
  setTimeout(follow, EVERY_MS);
}

draw();
dark.addEventListener("change", draw);
follow();
