"""An agent of your own: `mirr evaluate --policy docs.examples.my_agent:MyAgent` plays it."""

from mirr.env.environment import Observation
from mirr.env.vocabulary import Feature, Service


class MyAgent:
    """Restarts whatever is down, and says so first."""

    def reset(self, rng: object) -> None:  # a new episode begins; leave `reset` out if there is nothing to forget
        self.said: set[Service] = set()

    def act(self, observation: Observation) -> str:
        for service in Service:
            if observation.value(service, Feature.UP) == 0.0:
                if service in self.said:
                    return f"restart({service})"
                self.said.add(service)
                return f"diagnose({service}, crashed)"
        return "wait"
