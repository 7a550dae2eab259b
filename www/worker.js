// The script of every worker. The first message names its program and brings it compiled, so that all
// workers share one.
addEventListener(
  "message",
  async ({ data: { script, module } }) => {
    try {
      const { default: start } = await import(script);
      await start({ module_or_path: module });
    } catch (error) {
      postMessage({ id: 0, body: { Crashed: { message: String(error?.message ?? error) } } });
    }
  },
  { once: true },
);
