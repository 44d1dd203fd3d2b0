package app

import (
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// A table that changes is taken by who runs, a broken one is not, and on the day of
// another price that holds without anybody's doing.
func TestReloadOfPrices(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write("ours.json", ours(t))
	d.write("tidegate.yaml", "prices: ours.json\n"+strings.ReplaceAll(strings.ReplaceAll(deskConfig, ", price: {input: 1, output: 2}", ""), "https://h/v1", "https://api.openai.com/v1"))
	d.begin()
	price := func() jobs.MicroUSD { targets, _ := d.running.Build(); return targets[0].Price.Input }
	if price() != jobs.USD(1) {
		t.Fatalf("at the start the price is %s", price())
	}
	d.write("ours.json", ours(t)[:len(ours(t))/2])
	d.looks(2)
	d.took(0)
	d.says("ours.json", "it ends too early", "the prices of before stay")
	d.write("key", newKey) // which must not wait for the table
	d.looks(2)
	if got := d.took(1).Targets[0].APIKey.Reveal(); got != newKey || price() != jobs.USD(1) {
		t.Errorf("beside a broken table the key is %q and the price %s", got, price())
	}
	d.says("configuration taken: targets.a.api_key", "the prices of before stay")
	d.write("ours.json", strings.ReplaceAll(ours(t), `"input": 1,`, `"input": 0.75,`))
	d.looks(2)
	d.took(2)
	d.says("configuration taken: prices")
	if price() != jobs.USD(0.75) {
		t.Errorf("with the new table the price is %s", price())
	}
	then := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	d.reprice(then.Add(-time.Second))
	d.took(2)
	d.reprice(then)
	d.took(3)
	d.says("other prices hold from today: a: $3.00 in, $4.00 out; b: $3.00 in, $4.00 out")
	d.reprice(then.Add(time.Hour))
	d.took(3)
	d.says()
}
