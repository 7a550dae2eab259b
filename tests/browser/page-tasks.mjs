// How long the page's thread is busy at a time.

/**
 * Tasks of the page's thread while `act` runs: `{ wall_ms, processor_ms }` of each. Only the processor's
 * time says what the page does: by the clock, tasks are longer where other programs run beside them.
 */
export async function tasksWhile(page, act) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: ["toplevel"] });
  await act();
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const threads = traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain");
  const is_ours = ({ pid, tid }) => threads.some((thread) => thread.pid === pid && thread.tid === tid);
  const tasks = traceEvents.filter((event) => event.ph === "X" && /RunTask$/.test(event.name) && is_ours(event));
  return tasks.map(({ dur = 0, tdur = 0 }) => ({ wall_ms: dur / 1e3, processor_ms: tdur / 1e3 }));
}

/** More than this at once, and a page feels slow. */
export const LONG_TASK_MS = 50;
