// XMLHttpRequest as far as grpc-web needs it, over fetch: Node has none, and the packages that imitate it either keep
// the text until all of it has come, or send an Accept of their own beside the client's.
export class XMLHttpRequest {
  readyState = 0;
  status = 0;
  statusText = "";
  responseText = "";
  onreadystatechange = null;
  #request = null;
  #response = null;
  #leaving = new AbortController();

  open(method, url) {
    this.#request = { method, url, headers: {} };
    this.#become(1);
  }

  setRequestHeader(name, value) {
    this.#request.headers[name] = value;
  }

  getResponseHeader(name) {
    return this.#response?.headers.get(name) ?? null;
  }

  getAllResponseHeaders() {
    return [...(this.#response?.headers ?? [])].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  }

  abort() {
    this.#leaving.abort();
  }

  async send(body) {
    const { url, ...options } = this.#request;
    try {
      this.#response = await fetch(url, { ...options, body, signal: this.#leaving.signal });
      this.status = this.#response.status;
      this.#become(2);
      for await (const chunk of this.#response.body) {
        this.responseText += Buffer.from(chunk).toString("latin1");
        this.#become(3);
      }
    } catch {
      this.status = 0;
    }
    this.#become(4);
  }

  #become(state) {
    this.readyState = state;
    this.onreadystatechange?.();
  }
}
