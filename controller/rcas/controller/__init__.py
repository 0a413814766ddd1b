"""The controller: one sequential step function over the ports Store, Cluster and Clock."""
