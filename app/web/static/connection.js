// The WebSocket that the engine gets. The engine's own way with a lost connection is to wait twice as long after each
// failure, without an end, and to show an English word; and with a session that it takes up again, to compare each control
// with the one that it had, twice at each level of the tree, which stops a page of twenty levels for good. This one tries
// until it is open, and tells the person so in words of ours. Then the page loads itself again: an engine that knows
// nothing yet takes the session up as it is.
{
  const Native = WebSocket;
  const WAITS_MS = [500, 1000, 2000, 5000]; // before each try; the last stays
  const OPENING_MS = 10_000;
  const SILENCE_MS = 15_000; // the process sends an empty frame every 5 s (app/web/visits.py)
  const WATCH_MS = 1000;
  const FORGOTTEN = 4410; // close code: the process does not know the session that this page remembers

  let isServed = false; // this page has had a session

  const shown = document.getElementById("lost");

  const words = () => {
    // Flutter's shared_preferences keeps values as JSON behind a prefix of its own.
    const chosen = JSON.parse(localStorage.getItem("flutter.imagegen.language"));
    return shown.dataset[chosen ?? (navigator.language.startsWith("zh") ? "zh" : "en")];
  };

  const tell = (text) => {
    if (shown.textContent !== text) shown.textContent = text;
  };

  class PatientSocket extends EventTarget {
    static CONNECTING = 0;
    static OPEN = 1;
    static CLOSING = 2;
    static CLOSED = 3;

    binaryType = "arraybuffer";
    readyState = PatientSocket.CONNECTING;
    #address;
    #failures = 0;
    #socket = null; // null between two tries
    #heard; // when the try began, or the last frame came; by the clock, which goes on while a device sleeps
    #waiting;
    #watching = setInterval(() => this.#watch(), WATCH_MS);
    #whenOffline = () => this.readyState === PatientSocket.OPEN && this.#lose();
    #whenOnline = () => this.readyState === PatientSocket.CONNECTING && this.#connect();

    constructor(...address) {
      super();
      this.#address = address;
      addEventListener("offline", this.#whenOffline);
      addEventListener("online", this.#whenOnline);
      this.#connect();
    }

    get protocol() {
      return this.#socket?.protocol ?? "";
    }

    send(frame) {
      this.#socket?.send(frame);
    }

    close() {
      this.#end();
    }

    #connect() {
      this.#drop();
      const socket = new Native(...this.#address);
      socket.binaryType = this.binaryType;
      socket.onopen = () => {
        if (isServed) return location.reload();
        this.readyState = PatientSocket.OPEN;
        this.dispatchEvent(new Event("open"));
      };
      socket.onmessage = ({ data }) => {
        this.#heard = Date.now();
        if (data.byteLength === 0) return;
        tell("");
        isServed = true;
        this.dispatchEvent(new MessageEvent("message", { data }));
      };
      socket.onclose = ({ code }) => (code === FORGOTTEN ? this.#forget() : this.#lose());
      this.#socket = socket;
      this.#heard = Date.now();
    }

    #watch() {
      const patience = this.readyState === PatientSocket.OPEN ? SILENCE_MS : OPENING_MS;
      if (this.#socket !== null && Date.now() - this.#heard > patience) this.#lose();
    }

    #lose() {
      tell(words());
      if (this.readyState === PatientSocket.OPEN) {
        this.#end();
      } else {
        this.#drop();
        const wait = WAITS_MS[Math.min(this.#failures++, WAITS_MS.length - 1)];
        // Everybody's connection was lost at the same time, and need not be back at the same time.
        this.#waiting = setTimeout(() => this.#connect(), wait * (0.5 + Math.random() / 2));
      }
    }

    #forget() {
      sessionStorage.clear(); // where Flet's engine remembers the session
      this.#end(); // the engine connects again
    }

    #drop() {
      clearTimeout(this.#waiting);
      if (this.#socket === null) return;
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
      this.#socket = null;
    }

    #end() {
      this.#drop();
      clearInterval(this.#watching);
      removeEventListener("offline", this.#whenOffline);
      removeEventListener("online", this.#whenOnline);
      this.readyState = PatientSocket.CLOSED;
      this.dispatchEvent(new CloseEvent("close", { code: 1006 }));
    }
  }

  globalThis.WebSocket = PatientSocket;
}
