import type { CarrierOpener } from "../../leg/envelope-call.js";
import { type ChannelOpener, headersOf, type OnResponse } from "../../link/channel-client.js";

/** Carries the calls of legs on channels. */
export function channelCarrierOpener(openChannel: ChannelOpener, onResponse: OnResponse): CarrierOpener {
  return async ({ url, header, signal }, call) => {
    const { channel, link } = await openChannel(url, header, signal);
    channel.response.promise
      .then(({ status, headers }) => {
        const responseHeader = headersOf(channel, headers);
        onResponse(responseHeader, link);
        call.answered(status, responseHeader);
        channel.use(call);
      })
      .catch((reason: unknown) => call.fail(reason));
    return channel;
  };
}
