-- HIPAAProfile is data that tenants read; it has no status. What it forbids shows on the tenants, in status.findings.
local hs = {}

if obj.metadata.deletionTimestamp ~= nil then
  hs.status = "Progressing"
  hs.message = "Being deleted"
  return hs
end

hs.status = "Healthy"
hs.message = "In effect: what it rules shows on the tenants that use it"
return hs
