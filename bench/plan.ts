/** How much is measured. Durations are those of one measurement of one contender. */
export interface Plan {
  /** Rounds in which all contenders are measured in turn. */
  rounds: number;
  /** Rounds of the works that start three processes for each measurement. */
  freshRounds: number;
  /** A flow counts from here on. */
  warmUpMs: number;
  flowMs: number;
  pingMs: number;
  pairingMs: number;
  manyStreams: number;
  manyStreamsMs: number;
  idleStreams: number;
  idleListeners: number;
  stoppedStreams: number;
  /** Each stopped stream is written to until there is no room, or until it has taken so much. */
  maxStoppedBytes: number;
  /** Open streams at which pairing, forwarding and closing are measured. */
  curve: readonly number[];
  curveMs: number;
  startUps: number;
  tabRounds: number;
  tabFlowMs: number;
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
};

/** At most two minutes: enough to see whether something is wrong, not to compare. */
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
};

/**
 * The plan of the gate's step `speed`, which takes 25 s for two contenders. The first three rounds, in which code is still
 * being compiled, are a minority of nine, so the median is not one of them.
 */
export const guardPlan: Plan = {
  ...fullPlan,
  rounds: 9,
  warmUpMs: 100,
  flowMs: 400,
  pingMs: 200,
};
