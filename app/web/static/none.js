// In the place of Rive's engine, which Flet's client asks a foreign host for and this client never uses: it would
// tell of an error if there were nothing, and so it waits.
globalThis.RiveNative = () => new Promise(() => {});
