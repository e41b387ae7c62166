"""Cargo release: let the shipments of a vessel out of the port.

A child workflow per shipment checks it, clears customs (which limits how fast it may be called),
reserves a dock slot, waits for the release window and books a carrier. When the carrier refuses, or
somebody cancels, what was reserved is given back in reverse order. The parent collects the results.
"""
