/** The buffers of the client, of two sockets and of the gateway, which may take a body that nobody reads. */
export const heldBytes = 12_582_912;
type Fetch = (input: string | Request, init?: RequestInit) => Promise<Response>;

/** A listener that fails before the head has gone out is answered for by the gateway: a failure of the body. */
export const failing =
  (call: Fetch): Fetch =>
  async (input, init) => {
    const response = await call(input, init);
    if (response.status !== 502 || !response.headers.has("stream-error")) return response;
    const error = new Error(await response.text());
    return new Response(new ReadableStream({ start: (controller) => controller.error(error) }));
  };
