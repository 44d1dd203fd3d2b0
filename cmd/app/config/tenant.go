package config

import "fmt"

// Tenant is what holds for one tenant. One that is not named has the
// defaults.
type Tenant struct {
	Name   string  `yaml:"name"`
	Weight float64 `yaml:"weight"` // its share of a route with fair admission, beside those of others

	Budget *Budget `yaml:"budget,omitempty"` // over all routes; nil: none
}

// minWeight and maxWeight bound a weight: what lies beyond is hardly meant.
const (
	minWeight = 0.01
	maxWeight = 1000
)

// checkTenants notes what is wrong with the tenants.
func (r *reader) checkTenants(c *Config) {
	names := map[string]int{}
	for i := range c.Tenants {
		tenant, at := &c.Tenants[i], fmt.Sprintf("tenants[%d]", i)
		if r.required(at+".name", tenant.Name, "name the tenant as its requests do, as in acme") {
			r.name(at+".name", tenant.Name)
			r.unique(names, tenant.Name, "tenants[%d].name", i)
		}
		if tenant.Weight < minWeight || tenant.Weight > maxWeight {
			r.problem(at+".weight", "must be from %v to %v; twice the weight is twice the share", minWeight, maxWeight)
		}
		r.checkBudget(tenant.Budget, at+".budget")
	}
}

// Weights are those of the tenants that the configuration names.
func (c *Config) Weights() map[string]float64 {
	weights := make(map[string]float64, len(c.Tenants))
	for _, tenant := range c.Tenants {
		weights[tenant.Name] = tenant.Weight
	}
	return weights
}
