/** A browser engine that can be driven on this machine. */
export interface Engine {
  name: "Chromium" | "Firefox" | "WebKit";
  launch(): Promise<EngineBrowser>;
}

export interface EngineBrowser {
  /** The version that the browser tells. */
  version: string;
  /** A tab of its own on a blank page of `origin`; certificates that nobody trusts are taken. */
  openTab(origin: string): Promise<EngineTab>;
  /** Ends the browser and its processes. */
  close(): Promise<void>;
}

export interface EngineTab {
  /**
   * Evaluates an expression in the page, awaits its promise, and resolves with the value as JSON can carry it. Rejects
   * with the error that it throws.
   */
  evaluate(expression: string): Promise<unknown>;
  /**
   * Runs a module in which "browser-stream-server" can be imported and, if they are built, its entries "/http" and
   * "/connect", the contracts as "/contract", "/http-contract" and "/service-contract", and "@connectrpc/connect".
   */
  run(source: string): Promise<void>;
  goto(url: string): Promise<void>;
  /** Goes back to the page that was left last. */
  goBack(): Promise<void>;
  /** Resolves with a picture of the page, as PNG. */
  screenshot(): Promise<Uint8Array>;
  close(): Promise<void>;
}
