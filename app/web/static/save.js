// Saves what a person, who is signed in in another tab, wants as files. The browser does it by itself: what passed through
// the client's process would take its memory, and everybody's time. What is wanted stands behind the `#`, which no server
// is told (app/src/state/saving.py).
const WORDS = {
  en: {
    busy: "It is being fetched. This may take a while.",
    done: "It is saved. You can close this page.",
    failed: "It could not be fetched. Reload this page to try again.",
    reason: "What went wrong",
  },
  zh: {
    busy: "正在获取，可能需要一些时间。",
    done: "已保存，可以关闭此页面。",
    failed: "获取失败，请刷新此页面重试。",
    reason: "失败原因",
  },
};
const TRIES = 5; // meanwhile the client renews the tokens, if they need it
const LINGER_MILLISECONDS = 2000; // until the browser has taken the file, and the person has read that it did

const RESULTS = "/api/v1/results";
const WANTED = {
  export: () => [["/api/v1/auth/me/export"]],
  picture: (id, format) => [[`${RESULTS}/${id}/image?download=true&format=${format}`]],
  archives: (...parts) => parts.map((ids) => [`${RESULTS}/archive`, { ids: ids.split(",") }]),
};

// Flutter's shared_preferences keeps values as JSON behind a prefix of its own.
const kept = (key) => JSON.parse(localStorage.getItem(`flutter.imagegen.${key}`));

const words = WORDS[kept("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en")];
const shown = document.getElementById("loading");

const say = (state) => {
  shown.querySelector("p").textContent = words[state];
  shown.classList.toggle("ended", state !== "busy");
};

const fetched = async (path, body) => {
  for (let count = 1; ; count++) {
    const { access_token } = JSON.parse(kept("tokens"));
    const headers = { Authorization: `Bearer ${access_token}`, "Content-Type": "application/json" };
    const response = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
    if (response.ok) return response;
    if (response.status !== 401 || count === TRIES) throw await response.json(); // a problem (RFC 9457)
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
};

// RFC 6266 §4.3: `filename*` is the whole name, `filename` what is left of it in ASCII.
const nameOf = (disposition) => {
  const whole = /filename\*=UTF-8''([^;]+)/i.exec(disposition);
  return whole ? decodeURIComponent(whole[1]) : /filename="([^"]+)"/i.exec(disposition)?.[1] ?? "imagegen";
};

const save = async (response) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = nameOf(response.headers.get("Content-Disposition"));
  link.click();
};

const saveAll = async () => {
  const [what, ...which] = location.hash.slice(1).split("/");
  const requests = WANTED[what](...which);
  for (const request of requests) await save(await fetched(...request));
  say("done");
  // A browser asks the person before it takes a second file from a page: then the page stays.
  if (requests.length === 1) setTimeout(() => close(), LINGER_MILLISECONDS);
};

say("busy");
saveAll().catch(({ type }) => {
  say("failed");
  if (!type) return;
  Object.assign(shown.querySelector("a"), { href: type, textContent: words.reason, hidden: false });
});
