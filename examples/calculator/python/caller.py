"""Calls a calculator in a tab, by gRPC."""

import sys

import grpc

from calculator_pb2 import AccumulateRequest, AddRequest, SubscribeRequest, SumRequest
from calculator_pb2_grpc import CalculatorServiceStub


def main(address: str = "localhost:5000", authority: str | None = None) -> None:
    # A gateway by host finds the tab by the authority, whatever the address is.
    options = () if authority is None else (("grpc.default_authority", authority),)
    with grpc.insecure_channel(address, options) as channel:
        calculator = CalculatorServiceStub(channel)

        print(f"add: {calculator.Add(AddRequest(a=1, b=2), timeout=10).sum:g}")

        multiples = calculator.Subscribe(SubscribeRequest(step=5))
        for response in multiples:
            print(f"subscribe: {response.sum:g}")
            if response.sum == 15:
                break
        multiples.cancel()

        print(f"sum: {calculator.Sum(SumRequest(number=number) for number in (1, 2, 3)).sum:g}")

        for response in calculator.Accumulate(AccumulateRequest(number=number) for number in (1, 2, 3)):
            print(f"accumulate: {response.sum:g}")


main(*sys.argv[1:])
