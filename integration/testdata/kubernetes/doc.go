// Kubernetes holds what is in deploy for clusters to the types that Kubernetes publishes: a
// module of its own, so that the program needs none of them.
//
//	make check-deploy
package kubernetes
