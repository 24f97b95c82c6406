// Calls of the REST API: tokens, their renewal, errors, and a task's event stream.

const SILENCE_MILLISECONDS = 40_000; // the server says something every 15 s: longer means the connection is dead

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail);
    Object.assign(this, { status, code: body.code, errors: body.errors ?? [] });
  }
}

export const session = {
  get tokens() { return JSON.parse(localStorage.getItem("tokens")); },
  set tokens(value) { value ? localStorage.setItem("tokens", JSON.stringify(value)) : localStorage.removeItem("tokens"); },
  onend: () => {},
};

let ahead = 0; // milliseconds; a phone's clock may be minutes wrong

export const serverTime = () => Date.now() + ahead;

export async function call(method, path, { body, headers = {}, signal } = {}) {
  const used = session.tokens?.access_token;
  let response = await send(used);
  if (response.status === 401 && used) {
    await renew(used);
    response = await send(session.tokens?.access_token);
  }
  return checked(response);

  function send(token) {
    const sent = { ...headers };
    if (token) sent.Authorization = `Bearer ${token}`;
    if (body) sent["Content-Type"] = "application/json";
    return fetch(path, { method, headers: sent, body, signal });
  }
}

export async function login(credentials) {
  session.tokens = await post("/api/v1/auth/login", credentials);
}

export function register(account) {
  return post("/api/v1/auth/register", account);
}

export async function logout() {
  const { refresh_token } = session.tokens;
  session.tokens = null;
  await post("/api/v1/auth/logout", { refresh_token });
}

let renewal = null;

// One exchange at a time: a refresh token is good for one. Another tab may have made it already.
function renew(used) {
  renewal ??= (async () => {
    if (session.tokens?.access_token !== used) return;
    try {
      session.tokens = await post("/api/v1/auth/refresh", { refresh_token: session.tokens.refresh_token });
    } catch (error) {
      if (error.status === 401) {
        session.tokens = null;
        session.onend();
      }
      throw error;
    }
  })().finally(() => { renewal = null; });
  return renewal;
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await checked(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
  return response.status === 204 ? null : response.json();
}

async function checked(response) {
  ahead = (Date.parse(response.headers.get("Date")) || Date.now()) - Date.now();
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => ({ detail: response.statusText })));
}

// Yields {kind, data} until the task has ended; a lost connection is taken up again after the last id that came.
export async function* follow(path) {
  for (let last = ""; ; await new Promise((done) => setTimeout(done, 1000))) {
    try {
      const response = await call("GET", path, { headers: last ? { "Last-Event-ID": last } : {} });
      if (response.status === 204) return;
      for await (const { id, ...event } of events(response.body)) {
        last = id ?? last;
        yield event;
        if (["completed", "failed", "canceled"].includes(event.data.status)) return;
      }
    } catch (error) {
      if (error.status >= 400 && error.status < 500) throw error;
    }
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const end = () => reader.cancel().catch(() => {});
  try {
    for (let text = ""; ;) {
      const silence = setTimeout(end, SILENCE_MILLISECONDS);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
        if (fields.event) yield { id: fields.id, kind: fields.event, data: JSON.parse(fields.data) };
      }
    }
  } finally {
    end();
  }
}
