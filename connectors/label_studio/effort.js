// Counts what an answer costs its annotator: presses of mouse buttons and keys, and active time, per task.
// Not which keys, not where, nothing outside the open task. Sent once, in a header of the annotation itself.
(() => {
  const IDLE_MS = 5000;
  const HEADER = "X-Fewclicks-Effort";
  const efforts = new Map();
  let current = null;

  const open = (task) => {
    if (!efforts.has(task)) efforts.set(task, { clicks: 0, keys: 0, active: 0, last: null, opened: performance.now() });
    current = task;
  };
  const touch = (event, what) => {
    const effort = efforts.get(current);
    if (!effort || !event.isTrusted || event.repeat) return;
    const now = performance.now();
    if (effort.last !== null && now - effort.last < IDLE_MS) effort.active += now - effort.last;
    effort.last = now;
    if (what) effort[what] += 1;
  };
  const listen = (name, what) => window.addEventListener(name, (e) => touch(e, what), { capture: true, passive: true });
  listen("pointerdown", "clicks");
  listen("keydown", "keys");
  listen("pointermove", null);
  listen("wheel", null);

  const submitted = (method, path) => {
    const made = path.match(/^\/api\/tasks\/(\d+)\/annotations\/?$/);
    if (method === "POST" && made) return Number(made[1]);
    return method === "PATCH" && /^\/api\/annotations\/\d+\/?$/.test(path) ? current : null;
  };
  // a task from the list is read by its id; the label stream asks for the next one
  const opened = async (method, url, response) => {
    const single = method === "GET" && url.pathname.match(/^\/api\/tasks\/(\d+)\/?$/);
    const next = url.pathname.match(/^\/api\/dm\/actions\/?$/) && url.searchParams.get("id") === "next_task";
    if (!response.ok) return;
    if (single) open(Number(single[1]));
    else if (next || /^\/api\/projects\/\d+\/next\/?$/.test(url.pathname)) {
      open(Number((await response.clone().json()).id));
    }
  };

  const plainFetch = window.fetch;
  window.fetch = async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url, location.href);
    const task = submitted(request.method, url.pathname);
    const effort = efforts.get(task);
    if (!effort) {
      const response = await plainFetch(request);
      try { await opened(request.method, url, response); } catch { /* counting never stands in the way */ }
      return response;
    }
    const { clicks, keys, active, opened: since } = effort;
    request.headers.set(HEADER, JSON.stringify({ clicks, keys, active_ms: active, wall_ms: performance.now() - since }));
    const response = await plainFetch(request);
    if (response.ok) { efforts.delete(task); if (current === task) open(task); }
    return response;
  };
})();
