/** `ShowResponse` in JSON, in which a field that has its default is left out, and a number of 64 bits is text. */
export interface Report {
  totals?: Totals;
  streams?: StreamReport[];
  names?: NameReport[];
  refusals?: RefusalReport[];
}

export interface Totals {
  names?: number;
  suspendedNames?: number;
  offers?: number;
  streams?: number;
  suspendedStreams?: number;
  legs?: number;
  links?: number;
  clientBytesPerSecond?: string;
  listenerBytesPerSecond?: string;
  refusals?: string;
  refusalsPerSecond?: number;
  ageMs?: string;
  ready?: boolean;
  heldBytes?: string;
  gatewayCalls?: number;
}

export interface StreamReport {
  streamId?: string;
  name?: string;
  state?: string;
  ageMs?: string;
  client?: EndpointReport;
  listener?: EndpointReport;
  wait?: string;
  waitsFor?: string;
  waitMs?: string;
}

export interface EndpointReport {
  leg?: string;
  legMs?: string;
  caller?: CallerReport;
  sentBytes?: string;
  bytesPerSecond?: string;
  silentMs?: string;
  unackedFrames?: string;
  windowLeftBytes?: string;
  windowBytes?: string;
  finished?: boolean;
}

export interface NameReport {
  name?: string;
  leaseId?: string;
  suspended?: boolean;
  ageMs?: string;
  listener?: CallerReport;
  offers?: number;
}

export interface RefusalReport {
  call?: string;
  reason?: string;
  count?: string;
  lastMs?: string;
  lastCaller?: CallerReport;
  lastName?: string;
}

export interface CallerReport {
  door?: string;
  address?: string;
  origin?: string;
  subject?: string;
}
