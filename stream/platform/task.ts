type Post = (action: () => void) => void;

let post: Post | undefined;

/**
 * Calls `action` in another task, after the present one with all of its microtasks, and after the actions that were
 * handed in before.
 *
 * No timer is used for it, because those of hidden tabs run once a second, or once a minute.
 */
export function afterTask(action: () => void): void {
  post ??= (globalThis as { setImmediate?: Post }).setImmediate ?? messagePost();
  post(action);
}

/** Makes the means of a browser, which has no `setImmediate`: a message to itself is a task. */
function messagePost(): Post {
  const { port1, port2 } = new MessageChannel();
  port1.start();
  return (action) => {
    port1.addEventListener("message", action, { once: true });
    port2.postMessage(0);
  };
}
