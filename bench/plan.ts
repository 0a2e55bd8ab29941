/** The amount of measuring. Durations are those of one measurement of one contender. */
export interface Plan {
  /** Rounds in which all contenders are measured in turn. */
  rounds: number;
  /** Rounds of the works that start three processes for each measurement. */
  freshRounds: number;
  /** A flow counts after this time. */
  warmUpMs: number;
  flowMs: number;
  pingMs: number;
  pairingMs: number;
  manyStreams: number;
  manyStreamsMs: number;
  idleStreams: number;
  idleListeners: number;
  stoppedStreams: number;
  /** A stopped stream is written to until it has no room, or at most until it has taken this much. */
  maxStoppedBytes: number;
  /** The numbers of open streams at which pairing, forwarding and closing are measured. */
  curve: readonly number[];
  curveMs: number;
  startUps: number;
  tabRounds: number;
  tabFlowMs: number;
  /** The time of one run of `wrk`, which takes whole seconds. */
  requestsS: number;
  downloadBytes: number;
  /** Server-sent events, 20 ms apart. */
  events: number;
  /** Names with ten callers each, the time within which all callers begin, and the time between the calls of each. */
  calledNames: number;
  arrivalMs: number;
  pauseMs: number;
}

export const fullPlan: Plan = {
  rounds: 5,
  freshRounds: 2,
  warmUpMs: 200,
  flowMs: 800,
  pingMs: 500,
  pairingMs: 500,
  manyStreams: 200,
  manyStreamsMs: 1_800,
  idleStreams: 2_000,
  idleListeners: 10_000,
  stoppedStreams: 8,
  maxStoppedBytes: 16_777_216,
  curve: [10, 100, 1_000, 10_000],
  curveMs: 400,
  startUps: 7,
  tabRounds: 5,
  tabFlowMs: 800,
  requestsS: 2,
  downloadBytes: 268_435_456,
  events: 50,
  calledNames: 1_000,
  arrivalMs: 20_000,
  pauseMs: 3_000,
};

/** A plan of at most two minutes, which shows whether something is wrong. Its figures are too noisy to compare. */
export const quickPlan: Plan = {
  ...fullPlan,
  rounds: 1,
  freshRounds: 1,
  warmUpMs: 50,
  flowMs: 250,
  pingMs: 60,
  pairingMs: 100,
  manyStreams: 20,
  manyStreamsMs: 400,
  idleStreams: 300,
  idleListeners: 500,
  stoppedStreams: 2,
  curve: [10, 100],
  curveMs: 100,
  startUps: 2,
  tabRounds: 1,
  tabFlowMs: 250,
  requestsS: 1,
  downloadBytes: 33_554_432,
  events: 10,
  calledNames: 20,
  arrivalMs: 100,
  pauseMs: 100,
};

/**
 * The plan of the gate's step `speed`, which takes 27 s for two contenders. Another program that is busy for a few
 * seconds disturbs some of the rounds, and the median of seven survives three such rounds.
 */
export const guardPlan: Plan = {
  ...fullPlan,
  rounds: 7,
  flowMs: 500,
  pingMs: 200,
};
