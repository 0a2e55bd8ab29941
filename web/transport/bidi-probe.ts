import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { FailureDetailSchema } from "../../gen/streamserver/v1/failure_pb.js";
import { RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { isOfRelay } from "../../stream/error/failure-detail.js";
import { callStream } from "../link/rpc-call.js";

const probeTimeoutMs = 10_000;

/**
 * Resolves with the error that keeps a transport from carrying bidirectional streams to the relay; with undefined if
 * nothing does. A `Transport` does not tell, so it is tried: an empty `Connect`, which only a relay that was reached
 * answers with a `FailureDetail`. Transports over fetch refuse by themselves, and HTTP/1.1 is refused by the server;
 * neither costs more than one request. Rejects if the relay cannot be reached, and when
 * `signal` is aborted.
 */
export async function bidiObstacle(transport: Transport, signal?: AbortSignal): Promise<ConnectError | undefined> {
  const options = { timeoutMs: probeTimeoutMs, signal };
  try {
    const responses = callStream(transport, RelayService.method.connect, nothing(), options);
    for await (const _ of responses) break;
    return undefined;
  } catch (reason) {
    const error = ConnectError.from(reason);
    const [detail] = error.findDetails(FailureDetailSchema);
    // A link that could not be opened has a detail too, which is not the relay's.
    if (detail !== undefined && isOfRelay(detail.failure)) return undefined;
    if (signal?.aborted || error.code === Code.Unavailable || error.code === Code.DeadlineExceeded) throw error;
    return error;
  }
}

async function* nothing(): AsyncGenerator<never> {}
