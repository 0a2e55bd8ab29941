import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { FailureDetailSchema } from "../gen/streamserver/v1/failure_pb.js";
import { RelayService } from "../gen/streamserver/v1/relay_pb.js";

const probeTimeoutMs = 10_000;

/**
 * Whether a transport carries bidirectional streams to the relay. Nothing of a `Transport` tells, so it is asked to: an empty
 * `Connect`, which only a relay that was reached answers with a `FailureDetail`. Transports over fetch refuse by themselves,
 * and HTTP/1.1 is refused by the server; neither costs more than one request. Rejects if the relay cannot be reached.
 */
export async function carriesBidi(transport: Transport): Promise<boolean> {
  try {
    const responses = createClient(RelayService, transport).connect(nothing(), { timeoutMs: probeTimeoutMs });
    for await (const _ of responses) return true;
    return true;
  } catch (reason) {
    const error = ConnectError.from(reason);
    if (error.findDetails(FailureDetailSchema).length > 0) return true;
    if (error.code === Code.Unavailable || error.code === Code.DeadlineExceeded) throw error;
    return false;
  }
}

async function* nothing(): AsyncGenerator<never> {}
