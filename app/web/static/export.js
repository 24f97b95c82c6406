// Saves everything that is kept of the person, who is signed in in another tab. The browser does it by itself: what
// passed through the client's process would take its memory, and everybody's time.
const WORDS = {
  en: {
    busy: "Everything of yours is being gathered. This may take a while.",
    done: "It is saved. You can close this page.",
    failed: "It could not be fetched. Close this page and try again.",
  },
  zh: {
    busy: "正在收集您的全部内容，可能需要一些时间。",
    done: "已保存，可以关闭此页面。",
    failed: "获取失败，请关闭此页面后重试。",
  },
};
const TRIES = 5; // meanwhile the client renews the tokens, if they need it

// Flutter's shared_preferences keeps values as JSON behind a prefix of its own.
const kept = (key) => JSON.parse(localStorage.getItem(`flutter.imagegen.${key}`));

const words = WORDS[kept("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en")];
const shown = document.getElementById("loading");

const say = (state) => {
  shown.querySelector("p").textContent = words[state];
  shown.classList.toggle("ended", state !== "busy");
};

const fetched = async () => {
  for (let count = 1; ; count++) {
    const { access_token } = JSON.parse(kept("tokens"));
    const response = await fetch("/api/v1/auth/me/export", { headers: { Authorization: `Bearer ${access_token}` } });
    if (response.ok) return response;
    if (response.status !== 401 || count === TRIES) throw new Error(response.statusText);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
};

const save = async () => {
  const response = await fetched();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))?.[1] ?? "imagegen-export.zip";
  link.click();
};

say("busy");
save().then(() => say("done"), () => say("failed"));
