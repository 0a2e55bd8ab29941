/** A listener for one event of an {@link Emitter}; `this` is the emitter. */
export type Listener<Events, Name extends keyof Events> = (
  ...args: Events[Name] extends unknown[] ? Events[Name] : never
) => void;

interface Registration {
  readonly listener: (...args: never) => void;
  /** A listener for one event is "spent" once it was called, even by an `emit` inside another. */
  kind: "always" | "once" | "spent";
}

const none: readonly Registration[] = [];

/**
 * Named events with typed arguments, as Node's `EventEmitter` has them. `Events` maps a name to the arguments' types.
 *
 * - Listeners are called in the order in which they were added, once for each time they were added.
 * - `emit` calls the listeners that there were when it began, whatever they add or remove meanwhile.
 * - A listener that throws makes `emit` throw, and the listeners after it are not called.
 * - Unlike Node's, `emit("error")` does not throw where nobody listens: a subclass is told, and it returns false.
 */
export class Emitter<Events> {
  /** Replaced as a whole by each change, so that an `emit` under way keeps its own. */
  readonly #registrations = new Map<keyof Events, readonly Registration[]>();

  /** Calls `listener` at each `event`. */
  on<Name extends keyof Events>(event: Name, listener: Listener<Events, Name>): this {
    return this.#set(event, [...this.#of(event), registration(listener, "always")]);
  }

  /** Calls `listener` at the next `event`, and not again. */
  once<Name extends keyof Events>(event: Name, listener: Listener<Events, Name>): this {
    return this.#set(event, [...this.#of(event), registration(listener, "once")]);
  }

  /** Another name for `on`, as in Node. */
  addListener<Name extends keyof Events>(event: Name, listener: Listener<Events, Name>): this {
    return this.on(event, listener);
  }

  /** Adds a listener as `on` does, but before the present ones. */
  prependListener<Name extends keyof Events>(event: Name, listener: Listener<Events, Name>): this {
    return this.#set(event, [registration(listener, "always"), ...this.#of(event)]);
  }

  /** Takes back the last `on` or `once` of this listener; does nothing if there is none. */
  off<Name extends keyof Events>(event: Name, listener: Listener<Events, Name>): this {
    const registrations = this.#of(event);
    const last = registrations.findLast((registration) => registration.listener === listener);
    if (last !== undefined) this.#remove(event, last);
    return this;
  }

  /** Another name for `off`, as in Node. */
  removeListener<Name extends keyof Events>(event: Name, listener: Listener<Events, Name>): this {
    return this.off(event, listener);
  }

  /** Takes back all listeners for `event`, or all there are. */
  removeAllListeners(event?: keyof Events): this {
    if (event === undefined) this.#registrations.clear();
    else this.#registrations.delete(event);
    return this;
  }

  /** Calls the listeners for `event`. Returns whether there were any. */
  emit<Name extends keyof Events>(event: Name, ...args: Parameters<Listener<Events, Name>>): boolean {
    const registrations = this.#of(event);
    for (const registration of registrations) {
      if (registration.kind === "spent") continue;
      if (registration.kind === "once") {
        registration.kind = "spent";
        this.#remove(event, registration);
      }
      registration.listener.apply(this, args as never);
    }
    if (registrations.length === 0 && event === "error") this.errorUnheard(args[0]);
    return registrations.length > 0;
  }

  listenerCount(event: keyof Events): number {
    return this.#of(event).length;
  }

  /** For a subclass that has to know who listens to what: called after a listener was added. */
  protected listenerAdded(_event: keyof Events): void {}

  /** For a subclass that has another way to tell of an error: called when nobody listens for one that is emitted. */
  protected errorUnheard(_error: unknown): void {}

  #of(event: keyof Events): readonly Registration[] {
    return this.#registrations.get(event) ?? none;
  }

  #set(event: keyof Events, registrations: readonly Registration[]): this {
    this.#registrations.set(event, registrations);
    this.listenerAdded(event);
    return this;
  }

  #remove(event: keyof Events, gone: Registration): void {
    this.#registrations.set(
      event,
      this.#of(event).filter((registration) => registration !== gone),
    );
  }
}

function registration(listener: Registration["listener"], kind: "always" | "once"): Registration {
  if (typeof listener !== "function") throw new TypeError("a listener is a function");
  return { listener, kind };
}
