import { describe, expect, test } from "vitest";
import { readWrk } from "../../../bench/works/http/requests.js";

const printed = (failures: string) => `Running 1s test @ http://127.0.0.1:40953/~/steady/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     7.83ms    4.80ms  45.85ms   80.04%
    Req/Sec     4.29k     0.95k    5.32k    80.00%
  4283 requests in 1.00s, 1.31MB read
${failures}Requests/sec:   4275.64
Transfer/sec:      1.31MB
`;

describe("readWrk", () => {
  test("reads the count and the rate of the requests", () => {
    expect(readWrk(printed(""))).toEqual({ count: 4_283, perS: 4_275.64 });
  });

  test.each(["  Non-2xx or 3xx responses: 4283\n", "  Socket errors: connect 0, read 12, write 0, timeout 0\n"])(
    "throws for failed requests: %s",
    (failures) => {
      expect(() => readWrk(printed(failures))).toThrow(failures.trim());
    },
  );

  test("throws for what is no report", () => {
    expect(() => readWrk("unable to connect to 127.0.0.1:1 Connection refused")).toThrow("refused");
  });
});
