-- BusinessAssociate follows kstatus: status.observedGeneration and condition inForce are written at once, and a new object
-- says observedGeneration -1. An associate that is not in force is Degraded: egress to it is closed.
local hs = {}

if obj.metadata.deletionTimestamp ~= nil then
  hs.status = "Progressing"
  hs.message = "Being deleted"
  return hs
end

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "Waiting for the operator to look at this spec"
  return hs
end

for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "inForce" then
    if condition.status == "True" then
      hs.status = "Healthy"
    else
      hs.status = "Degraded"
    end
    hs.message = condition.reason .. ": " .. condition.message
    return hs
  end
end

hs.status = "Progressing"
hs.message = "Waiting for the operator to judge the agreement"
return hs
